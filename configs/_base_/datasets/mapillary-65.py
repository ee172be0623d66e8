# Mapillary Vistas 1.2, 65 classes, validation split (2000 images).
_base_ = '../benchmark.py'

vocabulary = 'mapillary-65'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
test_dataloader = dict(
    dataset=dict(type='MapillaryVistas65', data_root='{{$OVSEG_DATA:data}}/mapillary_vistas'))
