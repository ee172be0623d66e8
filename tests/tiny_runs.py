"""A miniature dataset and the configuration of a run that takes a second, for several tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

CLASSES = ("floor", "wall", "lamp")


def write_folder_dataset(root: Path, images: int = 4, size: tuple[int, int] = (20, 24)) -> Path:
    """``images/*.png`` whose grey is 80 x class, and ``masks/*.png`` with a void first row."""
    height, width = size
    for i in range(images):
        mask = np.zeros(size, np.uint8)
        mask[:, width // 3 + i :] = 1
        mask[height // 2 :, : width // 2] = 2
        noise = np.random.default_rng(i).integers(0, 20, (*size, 3))
        image = (mask[..., None] * 80 + noise).astype(np.uint8)
        mask[0] = 255
        for folder, array in (("images", image), ("masks", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{i:03}.png")
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    return root


def train_config(root: Path, work_dir: Path, **changes) -> Config:
    """A UNet of a few hundred weights from mmseg's own registry, trained for six iterations."""

    def loader(train: bool) -> dict:
        flip = [dict(type="RandomFlip", prob=0.5)] if train else []
        return dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type="InfiniteSampler" if train else "DefaultSampler", shuffle=train),
            dataset=dict(
                type="BaseSegDataset",
                data_root=str(root),
                data_prefix=dict(img_path="images", seg_map_path="masks"),
                img_suffix=".png",
                metainfo=dict(classes=CLASSES, palette=[[0, 0, 0], [90, 9, 9], [9, 90, 9]]),
                pipeline=[
                    dict(type="LoadImageFromFile"),
                    dict(type="LoadAnnotations"),
                    *flip,
                    dict(type="PackSegInputs"),
                ],
            ),
        )

    config = dict(
        default_scope="ovseg",
        work_dir=str(work_dir),
        model=dict(
            type="EncoderDecoder",
            data_preprocessor=dict(
                type="SegDataPreProcessor", mean=[127.0] * 3, std=[60.0] * 3, size_divisor=4
            ),
            backbone=dict(
                type="UNet",
                base_channels=4,
                num_stages=2,
                strides=(1, 1),
                enc_num_convs=(1, 1),
                dec_num_convs=(1,),
                downsamples=(True,),
                enc_dilations=(1, 1),
                dec_dilations=(1,),
            ),
            decode_head=dict(
                type="FCNHead",
                in_channels=4,
                channels=4,
                in_index=1,
                num_convs=1,
                num_classes=3,
                dropout_ratio=0,  # MMEngine does not restore torch's random state on resume
                norm_cfg=dict(type="BN"),
                loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
            ),
            test_cfg=dict(mode="whole"),
        ),
        train_dataloader=loader(train=True),
        val_dataloader=loader(train=False),
        test_dataloader=loader(train=False),
        val_evaluator=dict(type="IoUMetric"),
        test_evaluator=dict(type="IoUMetric"),
        optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.02)),
        param_scheduler=[dict(type="PolyLR", eta_min=1e-3, begin=0, end=6, by_epoch=False)],
        train_cfg=dict(type="IterBasedTrainLoop", max_iters=6, val_interval=3),
        val_cfg=dict(),
        test_cfg=dict(),
        default_hooks=dict(
            logger=dict(type="LoggerHook", interval=1, log_metric_by_epoch=False),
            checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=3, save_best="mIoU"),
        ),
        log_processor=dict(by_epoch=False, window_size=1),
        randomness=dict(seed=3),
        experiment_name=str(work_dir),  # MMEngine keeps one logger per name and second
    )
    config.update(changes)
    return Config(config)


def scene_training(
    work_dir: Path | str,
    model: dict,
    pipeline: list[dict],
    iterations: int,
    interval: int,
    keep: int = -1,
    **settings: Any,
) -> Config:
    """Some iterations on eight scenes, four at a time, by the package's own loop and hooks.

    Args:
        work_dir: where everything goes.
        model: what is trained.
        pipeline: what is made of a scene.
        iterations: how many.
        interval: of checkpoints.
        keep: how many checkpoints stay.
        settings: the rest of the config: optimizer, schedule, more hooks.
    """
    scenes = dict(
        type="ScenesDataset", split="train", length=8, size=48, test_mode=False, pipeline=pipeline
    )
    checkpoint = dict(
        type="WholeCheckpointHook", by_epoch=False, interval=interval, max_keep_ckpts=keep
    )
    config = dict(
        default_scope="ovseg",
        work_dir=str(work_dir),
        experiment_name=str(work_dir),  # MMEngine keeps one logger per name and second
        model=model,
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type="EndlessSampler"),
            dataset=dict(type="SeededSamples", dataset=scenes),
        ),
        train_cfg=dict(type="EndlessTrainLoop", max_iters=iterations),
        default_hooks=dict(
            logger=dict(type="LoggerHook", interval=1, log_metric_by_epoch=False),
            checkpoint=checkpoint,
            sampler_seed=None,
        ),
        custom_hooks=[dict(type="FrozenGuardHook")],
        log_processor=dict(type="ShortLogProcessor", window_size=1),
        randomness=dict(seed=3),
        launcher="none",
    )
    config.update(settings)
    return Config(config)
