# PASCAL Context, background and 59 classes, val (5105 images); masks and list are made by
# tools/dataset_converters/pascal_context_60.py.
_base_ = '../benchmark.py'

vocabulary = 'pascal-context-60'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='PascalContext60', data_root='{{$OVSEG_DATA:data}}/VOCdevkit/VOC2010'))
