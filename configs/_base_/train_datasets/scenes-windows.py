# Windows of 64 pixels of procedural scenes at 128, as the protocol nano-128 reads them; of the
# ground truth nothing is read.
_base_ = './scenes.py'

train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        dataset=dict(
            size=128,
            num_things=(1, 4),
            pipeline=[
                dict(type='RenderScene'),
                dict(type='ClassAreaCrop', size=64),
                dict(type='RandomMirror'),
                dict(type='RandomBrightness', amount=0.5),
                dict(type='PackSegInputs', meta_keys=('img_path', 'ori_shape', 'img_shape')),
            ])),
)
