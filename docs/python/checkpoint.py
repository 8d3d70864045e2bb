"""What a checkpoint holds: one of runs/.../checkpoints, or one inside a file that `sluice export --to FILE.h5` packed.

    python3 checkpoint.py runs/gate-ablation/checkpoints/KEY.h5
    python3 checkpoint.py gate-ablation.h5 checkpoints/KEY
"""
import sys

import h5py

if __name__ == "__main__":
    with h5py.File(sys.argv[1]) as file:
        group = file[sys.argv[2]] if len(sys.argv) > 2 else file
        group.visititems(lambda name, item: print(f"{name:40} {item.shape} {item.dtype}") if hasattr(item, "shape") else None)
