# FC-CLIP on scenes of what was held out from all training.
_base_ = ['./fcclip_nano.py', '../_base_/datasets/scenes-unseen.py']
model = dict(tasks=('semantic',))
