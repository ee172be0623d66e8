# PASCAL Context, 59 classes without the background, val (5105 images).
_base_ = '../benchmark.py'

vocabulary = 'pascal-context-59'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='PascalContext59', data_root='{{$OVSEG_DATA:data}}/VOCdevkit/VOC2010'))
