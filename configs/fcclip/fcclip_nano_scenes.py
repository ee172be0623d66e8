# FC-CLIP on the procedural scenes.
_base_ = ['./fcclip_nano.py', '../_base_/datasets/scenes.py']
model = dict(tasks=('semantic',))
