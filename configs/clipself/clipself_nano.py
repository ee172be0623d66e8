# MaskCLIP as its authors' code has it, on the nano CLIP that CLIPSelf trained: residual and MLP of
# the last block stay, as CLIPSelf teaches its dense map.
_base_ = '../maskclip/maskclip_nano.py'
model = dict(
    image_encoder=dict(pretrained='ovseg-clipself'),
    text_encoder=dict(pretrained='ovseg-clipself'),  # the same one
    attention=dict(residual=True, mlp=True),
)
