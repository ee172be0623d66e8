# Train OpenAI's CLIP ViT-B/16 by CLIPSelf on the images of COCO.
_base_ = './clipself_eva02-b16_coco_train.py'
model = dict(student=dict(model='ViT-B-16', pretrained='openai'))
# The defaults of the public code for models that are called ViT.
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.98), eps=1e-6))
custom_hooks = [
    dict(type='FrozenGuardHook'),
    dict(type='SaveTowerHook', name='clipself_vit-b16.safetensors', blend=0.7),
]
