# Cityscapes panoptic, 8 things and 11 stuff classes, validation split (500 images).
_base_ = '../panoptic.py'

vocabulary = 'cityscapes-19'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='CityscapesPanoptic19', data_root='{{$OVSEG_DATA:data}}/cityscapes'))
