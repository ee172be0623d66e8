# PASCAL Context, 459 classes, val (5105 images); masks are made by
# tools/dataset_converters/pascal_context_459.py.
_base_ = '../benchmark.py'

vocabulary = 'pascal-context-459'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='PascalContext459', data_root='{{$OVSEG_DATA:data}}/VOCdevkit/VOC2010'))
