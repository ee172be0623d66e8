# ADE20K, 847 classes, validation split (2000 images); made of the full release by
# tools/dataset_converters/ade20k_847.py.
_base_ = '../benchmark.py'

vocabulary = 'ade20k-847'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='ADE20K847', data_root='{{$OVSEG_DATA:data}}/ADE20K_2021_17_01'))
