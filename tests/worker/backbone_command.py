"""`sluice backbone` from the outside: what it prints, keeps, refuses to overwrite and leaves behind, and a trial on what it kept.

    backbone_command.py PROGRAM      in an empty folder; status 77 without torch
"""
import hashlib
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "io"))
import backbone_files as files  # noqa: E402

if not files.torch:
    sys.exit(77)
torch = files.torch
PROGRAM = sys.argv[1]
STORE = pathlib.Path("store")
ENVIRONMENT = {**os.environ, "SLUICE_BACKBONES": f"{STORE}:elsewhere", "OMP_NUM_THREADS": "1"}


def sluice(*arguments, status=0, limit=None):
    """Output and errors of a command that must end with that status."""
    def before():
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = [a if isinstance(a, bytes) else str(a) for a in arguments]
    done = subprocess.run([PROGRAM, *words], env=ENVIRONMENT, text=True, errors="surrogateescape", capture_output=True,
                          preexec_fn=before)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def contents():
    return {p.name: p.read_bytes() for p in STORE.iterdir()}


def test_imports_are_kept_once(w):
    out, _ = sluice("backbone", "import", "moco.pth", "--as", "mine", "--profile", "moco1k", "--heads", 4, "--json")
    report = json.loads(out)
    assert report["profile"] == "moco1k" and report["prefix"] == "module.base_encoder." and report["root"] == "state_dict", report
    assert report["found"] == report["required"] == 6 + 12 * 3 and report["dropped"] == 4 and report["tensors_sha256"] == files.digest(w)
    assert report["file_sha256"] == hashlib.sha256(pathlib.Path("moco.pth").read_bytes()).hexdigest()
    assert "fc_norm" in report["notes"], report["notes"]
    assert set(contents()) == {"mine.h5"}
    kept = contents()
    _, error = sluice("backbone", "import", "other.npz", "--as", "mine", status=2)
    assert "already" in error and "--force" in error, error
    assert contents() == kept
    sluice("backbone", "import", "other.npz", "--as", "mine", "--force")
    assert contents() != kept and set(contents()) == {"mine.h5"}


def test_the_store_is_shown(w):
    sluice("backbone", "import", "moco.pth", "--as", "mine", "--profile", "moco1k", "--heads", 4, "--force")
    (STORE / "broken.h5").write_bytes(b"not HDF5")
    (STORE / "notes.txt").write_text("not a backbone")
    pathlib.Path("elsewhere").mkdir()
    shutil.copy(STORE / "mine.h5", "elsewhere/mine.h5")  # hidden by the first folder
    shutil.copy(STORE / "mine.h5", "elsewhere/other.h5")
    rows = {row["name"]: row for row in json.loads(sluice("backbone", "list", "--json")[0])}
    assert {"mine", "broken", "other"} <= set(rows) and "notes" not in rows, rows
    assert rows["mine"]["path"] == "store/mine.h5" and "error" in rows["broken"], rows
    assert rows["mine"]["digest"] == rows["other"]["digest"]
    text = sluice("backbone", "list")[0]
    assert "moco1k" in text and "broken" in text, text
    shown = json.loads(sluice("backbone", "show", "mine", "--tensors", "--json")[0])
    assert shown["heads"] == 4 and shown["parameters"] == sum(t.numel() for t in w.values())
    tensors = {t["name"]: t for t in shown["tensors"]}
    assert set(tensors) == set(w)
    for name, t in w.items():
        assert tensors[name]["shape"] == list(t.shape)
        for key, number in (("min", t.min()), ("max", t.max()), ("mean", t.mean())):
            assert abs(tensors[name][key] - number.item()) < 1e-6, (name, key)
    assert "profile: moco1k" in shown["provenance"] and "file sha256: " in shown["provenance"]
    _, error = sluice("backbone", "show", "broken", status=3)
    assert "broken.h5" in error, error
    assert "sluice backbone import" in sluice("backbone", "show", "nothing", status=2)[1]
    (STORE / "broken.h5").unlink()


def test_json_has_all_fields_whatever_the_path(w):
    shutil.copy("moco.pth", b"in\xff\xc3\xa9.pth")
    out, _ = sluice("backbone", "import", b"in\xff\xc3\xa9.pth", "--as", "odd", "--heads", 4, "--out", b"odd\xff.h5", "--json")
    report = json.loads(out.encode("utf8", "strict"))
    assert report["path"] == "odd?.h5" and report["name"] == "odd" and report["tensors_sha256"] == files.digest(w), report
    assert "taken for" in report["notes"] and report["found"] == report["required"], report
    os.rename(b"odd\xff.h5", STORE / "odd.h5")
    shown = json.loads(sluice("backbone", "show", "odd", "--json")[0])
    assert "imported from: in?é.pth\n" in shown["provenance"], shown
    (STORE / "odd.h5").unlink()


def test_failures_leave_nothing(w):
    before = contents()
    incomplete = {n: t for n, t in w.items() if "blocks.1" not in n or "bias" not in n}
    torch.save({**incomplete, "norm.weight": torch.zeros(3)}, "incomplete.pth")
    _, error = sluice("backbone", "import", "incomplete.pth", "--as", "incomplete", "--heads", 4, status=3)
    assert "blocks.1.norm1.bias is missing" in error and "norm.weight has shape (3,), expected (32,)" in error, error
    assert "E_MISSING" in error.splitlines()[-1], error
    _, error = sluice("backbone", "import", "moco.pth", "--as", "full", "--heads", 4, status=75, limit=20000)
    assert "store/full.h5" in error, error
    _, error = sluice("backbone", "import", "moco.pth", "--as", "mine", "--heads", 4, "--force", status=75, limit=20000)
    sluice("backbone", "import", "moco.pth", "--as", "x", "--heads", 4, "--out", "no/such/folder.h5", status=75)
    sluice("backbone", "import", "nothing.pth", "--as", "x", status=2)
    sluice("backbone", "import", "moco.pth", "--as", "../x", "--heads", 4, status=2)
    sluice("backbone", "import", "moco.pth", "--as", "x", "--heads", "many", status=2)
    sluice("backbone", "import", "moco.pth", "--as", "x", "--heads", 4, "--profile", "dino2k", status=2)
    sluice("backbone", "import", "moco.pth", "--as", "x", "--heads", 4, "--side", 18, status=2)
    _, error = sluice("backbone", "import", "moco.pth", "--as", "x", "--heads", 4, "--limit", "tensors=many", status=2)
    assert "the limit tensors is a number from 1 to" in error, error
    _, error = sluice("backbone", "import", "moco.pth", "--as", "x", "--heads", 4, "--limit", "pickle-text=3", status=3)
    assert "--limit pickle-text=N" in error and "(pth: E_LIMIT)" in error, error
    sluice("backbone", "import", "moco.pth", status=2)
    sluice("backbone", status=2)
    assert contents() == before
    assert "import" in sluice("backbone", "--help")[0]


def test_names_of_presets_are_watched(w):
    _, error = sluice("backbone", "import", "moco.pth", "--as", "vit-b16-sup21k", "--heads", 4)
    assert "WARNING" in error and "sup21k" in error, error
    _, error = sluice("backbone", "import", "other.npz", "--as", "vit-b16-sup21k", "--profile", "sup21k", "--force")
    assert "WARNING" in error and "accuracies" in error, error  # no pre_logits


def test_positions_are_resampled_as_by_pytorch(w):
    """What `--side` keeps: the grid by PyTorch's bicubic interpolation, every other number as it was."""
    def resampled(before, n, m):
        grid = before[:, 1:].reshape(1, n, n, -1).permute(0, 3, 1, 2)
        after = torch.nn.functional.interpolate(grid, (m, m), mode="bicubic", align_corners=False)
        return torch.cat([before[:, :1], after.permute(0, 2, 3, 1).reshape(1, m * m, -1)], 1)

    learned = files.arrays(files.network(5))
    torch.save(learned, "learned.pth")
    for side in (8, 20, 32, 56):
        sluice("backbone", "import", "learned.pth", "--as", "sized", "--heads", 4, "--side", side, "--force")
        with files.h5py.File(STORE / "sized.h5") as kept:
            for name, t in learned.items():
                have = torch.tensor(kept["tensors/" + name][()])
                want = resampled(t, 4, side // 4) if name == "pos_embed" else t
                assert have.shape == want.shape and (have - want).abs().max() <= (3e-6 if name == "pos_embed" else 0), (side, name)
    (STORE / "sized.h5").unlink()


def test_trials_run_on_it(w):
    sluice("backbone", "import", "moco.pth", "--as", "wide", "--heads", 4, "--side", 32)
    pathlib.Path("sweep.yaml").write_text(
        "name: imported\ntrial:\n  method: norga\n  backbone: wide\n"
        "  dataset: {name: fashion-mnist, tasks: 5, train_per_class: 2, test_per_class: 2}\n"
        "  feature: {norm: fc_norm}\n  prompt: {length: 2, layers: 0-1}\n"
        "  train: {epochs: 1, batch: 4}\n  tii: {epochs: 1, batch: 4, align_epochs: 1}\n  tap: {epochs: 1}\n")
    try:
        sluice("plan", "sweep.yaml")
    except AssertionError as error:
        if "data set" in str(error):
            return  # Fashion-MNIST is not installed
        raise
    sluice("train", "sweep.yaml", "--out", "run", "--threads", 1)
    assert pathlib.Path("run/results.h5").exists()


def main():
    for folder in (STORE, pathlib.Path("elsewhere"), pathlib.Path("run")):
        shutil.rmtree(folder, ignore_errors=True)
    w = files.arrays(files.network(4, sines=True))
    files.torch.save(files.moco1k(w, 4), "moco.pth")
    files.np.savez("other.npz", **files.jax(files.arrays(files.network(1)), 4))
    tests = {name: test for name, test in globals().items() if name.startswith("test_")}
    for name, test in tests.items():
        test(w)
        print(f"{name}: good")


if __name__ == "__main__":
    main()
