# ADE20K, 150 classes, validation split (2000 images).
_base_ = '../benchmark.py'

vocabulary = 'ade20k-150'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='ADE20K150', data_root='{{$OVSEG_DATA:data}}/ADEChallengeData2016'))
