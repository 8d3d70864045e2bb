"""The HTML page of a report as a browser sees it: nothing on its console, nothing on the network, nothing wider than a phone.

    page.py SOURCE_FOLDER PROGRAM [SCREENSHOT_FOLDER]

Pages of four sweeps: a small one, one with long and foreign names, one of 40 settings, one without any result.  Each is looked at in
Chromium on a wide screen, a phone, a dark screen and paper.  With a third argument, pictures of all that are left there.
Ends with 77 (skipped) where Chromium, h5py or numpy is missing.
"""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy
except ImportError:
    sys.exit(77)

chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if not chromium:
    sys.exit(77)
source, program = pathlib.Path(sys.argv[1]), sys.argv[2]
ROW_TYPE = 6  # rows of a table, among the types of io/h5.h
pictures = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
sample = source / "tests" / "fuzz" / "corpus" / "results" / "four-settings.h5"


# ---- sweeps

def digest(name, rows):
    """As io/h5_internal.h has it: of the table's name, its type, its shape and its bytes."""
    head = struct.pack("<Q", len(name)) + name.encode() + struct.pack("<QQQ", ROW_TYPE, 1, len(rows))
    return hashlib.sha256(head + rows.tobytes()).hexdigest()[:32]


def rewritten(path, change):
    """The sample with other tables: change(name, rows) gives a table's new rows."""
    with h5py.File(sample) as old, h5py.File(path, "w") as new:
        for name, value in old.attrs.items():
            new.attrs.create(name, value, dtype=old.attrs.get_id(name).dtype)
        for name in old:
            rows = change(name, old[name][:])
            table = new.create_dataset(name, data=rows, maxshape=(None,), chunks=True)
            for key, value in old[name].attrs.items():
                if key == "digest":
                    value = numpy.bytes_(digest(name, rows))
                table.attrs.create(key, value, dtype=old[name].attrs.get_id(key).dtype)


def wider(rows, **texts):
    """Rows whose text fields of these names are as wide as asked for."""
    fields = [(name, f"S{texts[name]}" if name in texts else rows.dtype[name]) for name in rows.dtype.names]
    return rows.astype(numpy.dtype(fields))


def long_names(name, rows):
    if name != "trials":
        return rows
    rows = wider(rows, gate_activation=64, backbone=64)
    for value in numpy.unique(rows["gate_activation"]):
        rows["gate_activation"][rows["gate_activation"] == value] = \
            ("Σ <b>&amp; “" + value.decode() + "” very-long-name-of-a-level-").encode()
    rows["backbone"] = ("vit-large-patch14-pretrained-on-everything-" + "x" * 20).encode()
    return rows


def many_settings(name, rows):
    if name != "trials":
        return rows[:0]
    once = numpy.repeat(rows[rows["status"] == b"done"][:1], 40 * 3)
    for i in range(len(once)):
        once[i]["trial"], once[i]["seed"], once[i]["prompt_length"] = i, i % 3, i // 3 + 1
        once[i]["key"] = b"%032x" % i
        once[i]["faa"] = 80 + 5 * numpy.sin(i // 3) + i % 3
    return once


def no_results(name, rows):
    if name != "trials":
        return rows[:0]
    rows["status"] = b"waiting"
    for field in ("faa", "caa", "ffm", "tii_accuracy"):
        rows[field] = numpy.nan
    return rows


# ---- a browser, spoken to over two pipes

class Browser:
    def __init__(self, folder):
        command_in, self.commands = os.pipe()
        self.answers, answers_out = os.pipe()
        # The browser reads commands from its file 3 and writes answers to its file 4.
        script = f'exec 3<&{command_in} 4>&{answers_out}; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", chromium, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
             "--disable-background-networking", "--disable-component-update", "--no-first-run", f"--user-data-dir={folder}"],
            pass_fds=(command_in, answers_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(command_in)
        os.close(answers_out)
        self.number, self.rest, self.events, self.session = 0, b"", [], None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(domain + ".enable")

    def read(self):
        while b"\0" not in self.rest:
            more = os.read(self.answers, 1 << 20)
            if not more:
                sys.exit(77 if not self.number or self.session is None else "the browser has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def ask(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, path):
        self.events.clear()
        self.ask("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self.read())

    def value(self, expression):
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            sys.exit(f"{expression}: {result['exceptionDetails']}")
        return result["result"]["value"]

    def screen(self, width, dark=False, paper=False):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", media="print" if paper else "screen",
                 features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, path):
        if pictures:
            shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
            path.write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        os.close(self.commands)
        self.process.wait(timeout=30)
        os.close(self.answers)


# ---- what is looked at

def check(condition, what):
    if not condition:
        sys.exit(what)


def brightness(colour):
    return sum(int(part) for part in colour[colour.index("(") + 1:-1].split(",")[:3]) / 3


def look(browser, name, page):
    for view, arguments in (("wide", {"width": 1280}), ("phone", {"width": 360}), ("dark", {"width": 1280, "dark": True}),
                            ("paper", {"width": 750, "paper": True})):
        where = f"{name}, {view}"
        browser.screen(**arguments)
        browser.open(page)
        for event in browser.events:
            kind, facts = event["method"], event["params"]
            check(kind not in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"), f"{where}: {facts}")
            if kind == "Network.requestWillBeSent":
                url = facts["request"]["url"]
                check(url == page.as_uri() or url.startswith("data:"), f"{where}: a request for {url}")
        check(browser.value("document.documentElement.scrollWidth") <= arguments["width"], f"{where}: the page scrolls sideways")
        bright = brightness(browser.value("getComputedStyle(document.body).backgroundColor"))
        ink = brightness(browser.value("getComputedStyle(document.body).color"))
        check(bright < 60 and ink > 180 if view == "dark" else bright > 200 and ink < 80, f"{where}: ink {ink} on {bright}")
        browser.picture(pictures and pictures / f"{name}-{view}.png")
    # For screen readers: pictures have a name, tables have heads, headings come in order.
    check(browser.value("[...document.querySelectorAll('svg')].every(s => s.querySelector('title').textContent.length > 3)"),
          f"{name}: a picture without a title")
    check(browser.value("[...document.querySelectorAll('table')].every(t => t.caption && t.tHead.querySelector('th[scope=col]'))"),
          f"{name}: a table without caption or heads")
    check(browser.value("document.querySelectorAll('h1').length") == 1, f"{name}: not one title")
    check(not browser.value("/(nan|inf|undefined)\\b/i.test(document.body.innerText)"), f"{name}: a number that is none")
    return browser.value("document.querySelectorAll('svg').length"), browser.value("document.body.innerText")


with tempfile.TemporaryDirectory(dir=".", ignore_cleanup_errors=True) as folder:
    folder = pathlib.Path(folder).absolute()
    browser = Browser(folder / "profile")
    seen = {}
    for name, change in (("small", lambda name, rows: rows), ("long-names", long_names), ("40-settings", many_settings),
                         ("no-results", no_results)):
        rewritten(folder / f"{name}.h5", change)
        subprocess.run([program, "report", folder / f"{name}.h5", "--format", "html", "--out", folder / name], check=True,
                       stdout=subprocess.DEVNULL)
        seen[name] = look(browser, name, folder / name / "report.html")
    browser.close()
    check(seen["small"][0] >= 3 and seen["long-names"][0] >= 3 and seen["40-settings"][0] >= 1, "too few pictures")
    check("Σ <b>&amp; “" in seen["long-names"][1], "a foreign name is not shown as it is")
    check("nothing to compare" in seen["no-results"][1], "a sweep without results does not say so")
