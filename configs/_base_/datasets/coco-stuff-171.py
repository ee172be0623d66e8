# COCO-Stuff 164k, 171 classes, val2017 (5000 images).
_base_ = '../benchmark.py'

vocabulary = 'coco-stuff-171'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='COCOStuff171', data_root='{{$OVSEG_DATA:data}}/coco'))
