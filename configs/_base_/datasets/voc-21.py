# PASCAL VOC 2012, background and 20 classes, val (1449 images).
_base_ = '../benchmark.py'

vocabulary = 'voc-21'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='VOC21', data_root='{{$OVSEG_DATA:data}}/VOCdevkit/VOC2012'))
