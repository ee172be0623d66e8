# ADE20K panoptic, 100 things and 50 stuff classes, validation (2000 images); its segments are made
# by tools/dataset_converters/ade20k_panoptic.py.
_base_ = '../panoptic.py'

vocabulary = 'ade20k-150'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(
        type='ADE20KPanoptic150', data_root='{{$OVSEG_DATA:data}}/ADEChallengeData2016'))
