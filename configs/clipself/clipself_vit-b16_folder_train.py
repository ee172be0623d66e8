# Train OpenAI's CLIP ViT-B/16 by CLIPSelf on a folder of your own images, and the folders below it.
_base_ = './clipself_vit-b16_coco_train.py'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
train_dataloader = dict(
    dataset=dict(dataset=dict(data_root='{{$OVSEG_DATA:data}}/my_dataset/images', img_path='.')))
