# Your own images, of which no label is read: everything in a folder and the folders below it.
_base_ = './imagenet-1000.py'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
train_dataloader = dict(
    dataset=dict(dataset=dict(data_root='{{$OVSEG_DATA:data}}/my_dataset/images', length=None)))
