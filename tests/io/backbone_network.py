"""The network written with PyTorch's own modules, independently of model/vit.c."""
import collections

import numpy as np
import torch



class Attention(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = torch.nn.Linear(width, 3 * width)
        self.proj = torch.nn.Linear(width, width)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (part.view(n, t, self.heads, d // self.heads).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        weights = (q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, t, d))


class Mlp(torch.nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = torch.nn.Linear(width, hidden)
        self.fc2 = torch.nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(torch.nn.functional.gelu(self.fc1(x)))


class Block(torch.nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.norm1 = torch.nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = torch.nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, hidden)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Patches(torch.nn.Module):
    def __init__(self, width, patch):
        super().__init__()
        self.proj = torch.nn.Conv2d(3, width, patch, patch)


class Vit(torch.nn.Module):
    def __init__(self, side=16, patch=4, width=32, heads=4, depth=3, hidden=64):
        super().__init__()
        self.side, self.patch, self.heads = side, patch, heads
        self.cls_token = torch.nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = torch.nn.Parameter(torch.zeros(1, 1 + (side // patch) ** 2, width))
        self.patch_embed = Patches(width, patch)
        self.blocks = torch.nn.ModuleList(Block(width, heads, hidden) for _ in range(depth))
        self.norm = torch.nn.LayerNorm(width, eps=1e-6)

    def forward(self, images):
        x = self.patch_embed.proj(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0], x[:, 0]


def sine_positions(side, width):
    """MoCo v3's: by the formula, the class token zero."""
    omega = 10000.0 ** (-np.arange(width // 4) / (width // 4))
    rows = [np.zeros(width)]
    for r in range(side):
        for c in range(side):
            rows.append(np.concatenate([np.sin(r * omega), np.cos(r * omega), np.sin(c * omega), np.cos(c * omega)]))
    return torch.tensor(np.array(rows)[None], dtype=torch.float32)


def network(seed, sines=False):
    torch.manual_seed(seed)
    vit = Vit()
    for p in vit.parameters():
        torch.nn.init.normal_(p, std=0.25)
    if sines:
        vit.pos_embed.data = sine_positions(4, 32)
    return vit


def arrays(vit):
    return collections.OrderedDict((name, p.detach()) for name, p in vit.named_parameters())
