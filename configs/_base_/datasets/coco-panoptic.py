# COCO panoptic, 80 things and 53 stuff classes, val2017 (5000 images).
_base_ = '../panoptic.py'

vocabulary = 'coco-panoptic-133'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='COCOPanoptic133', data_root='{{$OVSEG_DATA:data}}/coco'))
