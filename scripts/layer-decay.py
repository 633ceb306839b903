"""Writes test/oracles/optim/layer-decay.json: the factors of learning rates that timm's param_groups_layer_decay gives.

    python scripts/layer-decay.py   (timm 1.0.31)
"""

import json
from pathlib import Path

import timm
from timm.optim import param_groups_layer_decay

DECAY = 0.75


def scales(name):
    model = timm.create_model(name, pretrained=False)
    names = {id(p): key for key, p in model.named_parameters()}
    groups = param_groups_layer_decay(model, layer_decay=DECAY)
    scale = {names[id(p)]: group['lr_scale'] for group in groups for p in group['params']}
    return {key: scale[key] for key, _ in model.named_parameters()}


models = {name: scales(name) for name in ('vit_tiny_patch16_224', 'resnet18')}
path = Path(__file__).parent.parent / 'test/oracles/optim/layer-decay.json'
path.write_text(json.dumps({'timm': timm.__version__, 'decay': DECAY, 'models': models}, indent=2) + '\n')
