# PASCAL VOC 2012, 20 classes without the background, val (1449 images).
_base_ = '../benchmark.py'

vocabulary = 'voc-20'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='VOC20', data_root='{{$OVSEG_DATA:data}}/VOCdevkit/VOC2012'))
