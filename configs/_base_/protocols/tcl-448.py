# The evaluation of TCL (Cha et al., 2023) as CLIP-DINOiser runs it: short side 448, windows of 448
# every 224 pixels. The softmax, with scale 100, is at the patches: probabilities are enlarged and
# averaged, not logits. Sets with a background override foreground_threshold in their configs.
protocol = dict(
    name='tcl-448',
    short_side=448,
    long_side=2048,
    crop=448,
    stride=224,
    logit_scale=100,
    softmax='patches',
)
