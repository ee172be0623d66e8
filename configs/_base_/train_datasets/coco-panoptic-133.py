# COCO panoptic, train2017 (118,287 images), with large-scale jitter as published.
_base_ = './panoptic.py'

train_dataloader = dict(
    dataset=dict(
        # The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
        dataset=dict(
            type='COCOPanoptic133',
            data_root='{{$OVSEG_DATA:data}}/coco',
            ann_file='annotations/panoptic_train2017.json',
        )))
