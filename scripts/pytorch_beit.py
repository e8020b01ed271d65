"""BEiT with the deconvolution decoder in plain PyTorch, to compare beit-seg with.

The parameters have the names of beit-seg's checkpoints: dataset /model/a/b/c is parameter a.b.c. There is no dropout
and no stochastic depth. Shapes: B batch, N patches, D width, H heads, K classes; (h, w) is the grid of patches.
"""

import json
import zlib

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

PRESETS = {  # width, depth, heads, initial layer scale
    "tiny": (192, 12, 3, 0.1),
    "small": (384, 12, 6, 0.1),
    "base": (768, 12, 12, 0.1),
    "large": (1024, 24, 16, 1e-5),
}


def configuration(preset, size, classes=150):
    """The `config` of a checkpoint: square images of `size` pixels, the decoder of the presets."""
    width, depth, heads, layer_scale = PRESETS[preset]
    backbone = dict(width=width, depth=depth, heads=heads, mlp_ratio=4, patch_size=16, image_size=[size, size],
                    position="relative", layer_scale=layer_scale, drop_path=0.1, final_norm=True, norm_eps=1e-6)
    decoder = dict(kind="deconvolution", channels=[256, 128, 64, 32], norm_groups=32, classes=classes)
    return dict(backbone=backbone, decoder=decoder)


def relative_position_index(h, w):
    """Row of the bias table for each (query, key), [N+1, N+1]; the last three rows belong to the class token."""
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    y, x = y.flatten(), x.flatten()
    rows = (2 * h - 1) * (2 * w - 1)
    index = torch.empty(h * w + 1, h * w + 1, dtype=torch.long)
    index[1:, 1:] = (y[:, None] - y + h - 1) * (2 * w - 1) + (x[:, None] - x + w - 1)
    index[0, :], index[:, 0], index[0, 0] = rows, rows + 1, rows + 2
    return index


class Attention(nn.Module):
    def __init__(self, width, heads, index):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.relative_position_bias_table = nn.Parameter(torch.zeros(int(index.max()) + 1, heads))
        self.proj = nn.Linear(width, width)
        self.register_buffer("index", index, persistent=False)
        self.gathered = None  # [H, N+1, N+1], gathered once for evaluation: a large share of the time at 512 pixels

    def position_bias(self):
        if self.training:
            return self.relative_position_bias_table[self.index].permute(2, 0, 1).contiguous()
        if self.gathered is None:
            self.gathered = self.relative_position_bias_table[self.index].permute(2, 0, 1).contiguous()
        return self.gathered

    def forward(self, x):
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        q, k, v = F.linear(x, self.qkv.weight, bias).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=self.position_bias()[None])
        return self.proj(x.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, c, index):
        super().__init__()
        width = c["width"]
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=c["norm_eps"]) for _ in range(2))
        self.attn = Attention(width, c["heads"], index)
        self.mlp = MLP(width, c["mlp_ratio"] * width)
        self.gamma_1, self.gamma_2 = (nn.Parameter(torch.full((width,), c["layer_scale"])) for _ in range(2))

    def forward(self, x):
        x = x + self.gamma_1 * self.attn(self.norm1(x))
        return x + self.gamma_2 * self.mlp(self.norm2(x))


class Backbone(nn.Module):
    """Pixels [B, 3, 16h, 16w] -> patch features [B, N, D]."""

    def __init__(self, c):
        super().__init__()
        width, patch = c["width"], c["patch_size"]
        index = relative_position_index(*(side // patch for side in c["image_size"]))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, patch)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(Block(c, index) for _ in range(c["depth"]))
        self.norm = nn.LayerNorm(width, eps=c["norm_eps"])

    def forward(self, pixels):
        x = self.patch_embed["proj"](pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 1:]


class DecoderBlock(nn.Module):
    def __init__(self, source, target, groups):
        super().__init__()
        self.deconv = nn.ConvTranspose2d(source, target, 4, stride=2, padding=1, bias=False)
        self.norm = nn.GroupNorm(groups, target)

    def forward(self, x):
        return F.gelu(self.norm(self.deconv(x)))


class Decoder(nn.Module):
    """A feature map [B, D, h, w] -> class logits [B, K, 16h, 16w]."""

    def __init__(self, width, c):
        super().__init__()
        channels = [width, *c["channels"]]
        pairs = zip(channels, channels[1:])
        self.blocks = nn.Sequential(*(DecoderBlock(a, b, c["norm_groups"]) for a, b in pairs))
        self.head = nn.Conv2d(channels[-1], c["classes"], 1)

    def forward(self, x):
        return self.head(self.blocks(x))


class Segmenter(nn.Module):
    def __init__(self, config):
        super().__init__()
        backbone, decoder = config["backbone"], config["decoder"]
        if backbone["position"] != "relative" or decoder["kind"] != "deconvolution":
            raise SystemExit("only relative positions with the deconvolution decoder are compared")
        self.grid = [side // backbone["patch_size"] for side in backbone["image_size"]]
        self.backbone = Backbone(backbone)
        self.decoder = Decoder(backbone["width"], decoder)

    def forward(self, pixels):
        return self.decoder(self.backbone(pixels).transpose(1, 2).unflatten(2, self.grid))


class MaskedImageModel(nn.Module):
    """Masked image modeling as in pre-training: one table of position biases for all blocks, the head on hidden patches."""

    def __init__(self, c, vocabulary=8192):
        super().__init__()
        self.backbone = Backbone(c)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, c["width"]))
        self.head = nn.Linear(c["width"], vocabulary)
        shared = self.backbone.blocks[0].attn
        for block in self.backbone.blocks[1:]:
            del block.attn.relative_position_bias_table
        self.table, self.index = shared.relative_position_bias_table, shared.index
        for block in self.backbone.blocks:
            block.attn.position_bias = lambda: self.bias

    def forward(self, pixels, mask):
        """mask [B, N], true where hidden -> logits [hidden, V]."""
        self.bias = self.table[self.index].permute(2, 0, 1).contiguous()
        x = self.backbone.patch_embed["proj"](pixels).flatten(2).transpose(1, 2)
        x = torch.where(mask[:, :, None], self.mask_token, x)
        x = torch.cat([self.backbone.cls_token.expand(len(x), -1, -1), x], dim=1)
        for block in self.backbone.blocks:
            x = block(x)
        return self.head(self.backbone.norm(x)[:, 1:][mask])


@torch.no_grad()
def randomize(net):
    """Draws every matrix, with the bias tables wide enough for a wrong index to show in the logits."""
    for name, parameter in net.named_parameters():
        if parameter.dim() > 1:
            parameter.normal_(std=0.5 if name.endswith("bias_table") else 0.02)


def save(net, config, path, provenance):
    """Writes a beit-seg checkpoint. The classes get made-up names and colours."""
    names = [f"class {k}" for k in range(config["decoder"]["classes"])]
    colours = [list(zlib.crc32(name.encode()).to_bytes(4, "big")[:3]) for name in names]
    preprocessing = dict(mean=[0.5] * 3, std=[0.5] * 3, size=config["backbone"]["image_size"], resize="bilinear")
    texts = dict(config=config, preprocessing=preprocessing, provenance=provenance,
                 classes=[dict(name=name, color=colour) for name, colour in zip(names, colours)])
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["task"] = "beit-seg", "segmentation"
        file.attrs["format_version"] = np.int64(1)
        for name, value in texts.items():
            file.attrs[name] = json.dumps(value)
        for name, value in net.state_dict().items():
            path = "model/" + name.replace(".", "/")
            file.create_dataset(path, data=value.numpy(), chunks=value.shape, fletcher32=True)


def load(path):
    """The network of a beit-seg segmentation checkpoint, ready to evaluate, and its `config`."""
    state = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            state[name.replace("/", ".")] = torch.from_numpy(item[()]).float()

    with h5py.File(path, "r") as file:
        config = json.loads(file.attrs["config"])
        file["model"].visititems(visit)
    net = Segmenter(config)
    net.load_state_dict(state)
    return net.eval(), config
