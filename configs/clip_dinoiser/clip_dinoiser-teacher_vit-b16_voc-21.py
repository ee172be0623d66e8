# CLIP-DINOiser's teacher with CLIP ViT-B/16 on voc-21.
_base_ = ['./clip_dinoiser-teacher_vit-b16.py', '../_base_/datasets/voc-21.py']
model = dict(
    # FOUND itself says what shows a thing; it has a DINO of its own.
    encoders=dict(
        found=dict(
            type='DINO',
            model='vit_small_patch8_224',
            pretrained='dino',
            weights=None,
            precision='fp32',
        )),
    foreground=dict(
        type='FOUNDForeground', encoder='found', pretrained='authors', weights=None),
    vocabulary='voc-21/clip-dinoiser',  # the class file of the protocol
    protocol=dict(foreground_threshold=0.99),  # FOUND's background
)
