# COCO-Object, background and 80 things, val2017 (5000 images).
_base_ = '../benchmark.py'

vocabulary = 'coco-object-81'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='COCOObject81', data_root='{{$OVSEG_DATA:data}}/coco'))
