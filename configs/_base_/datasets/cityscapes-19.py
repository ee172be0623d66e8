# Cityscapes, 19 classes, validation split (500 images).
_base_ = '../benchmark.py'

vocabulary = 'cityscapes-19'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='Cityscapes19', data_root='{{$OVSEG_DATA:data}}/cityscapes'))
