# What the configs of all panoptic datasets share: segments beside classes, and three metrics from
# one pass. A dataset's own config inherits this file and says its type and its place.
_base_ = './benchmark.py'

test_dataloader = dict(
    dataset=dict(
        # Images are resized by the model as its protocol says; ground truth is not resized.
        pipeline=[
            dict(type='LoadImage'),
            dict(type='LoadMask'),
            dict(type='LoadPanoptic'),
            dict(type='PackPanoptic'),
        ]))
test_evaluator = [
    # absent: how classes count that the ground truth does not hold ('union', 'gt' or 'zero')
    dict(type='SegmentationScores', absent='union'),  # mIoU
    dict(type='PanopticQuality'),  # PQ, SQ, RQ, also of things and of stuff
    dict(type='MaskAP', max_per_image=100),  # AP of the things
]
