"""What sallyctl metrics prints, before those who read it: promtool, node_exporter, prometheus_client and Prometheus itself."""
import contextlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request

import pytest

from conftest import BUILD, PATIENCE, TOP, Server, free_port, wait_for
from tlsserver import make_cert

FORMS = {"prometheus": "text/plain; version=0.0.4", "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8"}


def judge(program):
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is missing; ./bootstrap deps installs it")
    return path


def metrics(server, *words):
    return subprocess.run([f"{BUILD}/sallyctl", "--socket", f"{server.dir}/control", "metrics", *words], capture_output=True,
                          text=True, timeout=PATIENCE, check=True).stdout


@pytest.fixture(scope="module")
def server():
    """With two certificates, one of which two listeners share and has a name that a label must escape."""
    top = tempfile.mkdtemp(prefix="sallyport-it-")
    for folder in ("plain", 'odd"quoted"\\ü'):
        os.mkdir(f"{top}/{folder}")
        make_cert(f"{top}/{folder}", "x")
    pair = "certificate = {0}/x.pem\nprivate_key = {0}/x.key\n"
    odd = pair.format(f'{top}/odd"quoted"\\ü')
    listeners = "".join(f"[listener {name}]\nlisten = 127.0.0.1:{free_port()}\n{odd}" for name in ("second", "third"))
    s = Server(top, sections=f"[tls]\n{pair.format(top + '/plain')}{listeners}")
    with s.ftp("alice") as f:
        f.cwd("/")
    wait_for(lambda: '"' in metrics(s))
    yield s
    s.clean()


def numbers(server):
    """name -> value of what has no labels and stays as it is."""
    return {k: v for k, v in json.loads(subprocess.run(
        [f"{BUILD}/sallyctl", "--socket", f"{server.dir}/control", "--json", "metrics"], capture_output=True, text=True, check=True,
        timeout=PATIENCE).stdout).items() if k.endswith("_total") and not isinstance(v, list) or k == "sessions_limit"}


def test_promtool(server):
    r = subprocess.run([judge("promtool"), "check", "metrics"], input=metrics(server), capture_output=True, text=True, timeout=PATIENCE)
    assert (r.returncode, r.stdout + r.stderr) == (0, "")


@pytest.mark.parametrize("form", FORMS)
def test_prometheus_client(server, form):
    """Each row of metrics.def is a family with help text, type and value; each certificate is there once."""
    pytest.importorskip("prometheus_client", reason="python3-prometheus-client is missing; ./bootstrap deps installs it")
    from prometheus_client.openmetrics import parser as openmetrics
    from prometheus_client import parser as classic
    read = (openmetrics if form == "openmetrics" else classic).text_string_to_metric_families
    families = list(read(metrics(server, form)))
    rows = re.findall(r'^(?:METRIC|SERIES)\("(\w+)", (\w+)', open(f"{TOP}/daemon/listener/metrics.def").read(), re.M)
    # The library calls a family of counters by its short name in both forms.
    assert [(f"sallyport_{n.removesuffix('_total')}", kind) for n, kind in rows] == [(f.name, f.type) for f in families]
    assert all(f.documentation.endswith(".") and f.samples for f in families)
    values = {s.name: s.value for f in families for s in f.samples if not s.labels}
    want = numbers(server)
    assert {k: values[f"sallyport_{k}"] for k in want} == want
    files = [s.labels["file"] for f in families for s in f.samples if "file" in s.labels]
    assert sorted(files) == sorted([f"{server.dir}/plain/x.pem", f'{server.dir}/odd"quoted"\\ü/x.pem'])


def test_the_start_does_not_move(server):
    starts = {re.search(r"^sallyport_start_time_seconds (\d{10})$", metrics(server), re.M)[1] for _ in range(50)}
    assert len(starts) == 1, starts


def get(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as r:
        return r.read().decode()


@contextlib.contextmanager
def running(*command):
    log = tempfile.TemporaryFile("w+")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def check():
        if process.poll() is not None:
            log.seek(0)
            pytest.fail(f"{command[0]} ended:\n{log.read()[-3000:]}")
        return True

    yield check
    process.kill()
    process.wait()


def test_node_exporter(server, tmp_path):
    """The recipe of sallyctl(8), as it stands there."""
    recipe = re.search(r"^\.Dl # (sallyctl metrics .*)$", open(f"{TOP}/man/sallyctl.8.in").read(), re.M)[1]
    recipe = recipe.replace("/var/lib/prometheus/node-exporter", str(tmp_path))
    recipe = recipe.replace("sallyctl", f"{BUILD}/sallyctl --socket {server.dir}/control")
    subprocess.run(["sh", "-ec", recipe], cwd=tmp_path, check=True, timeout=PATIENCE)
    port = free_port()
    with running(judge("prometheus-node-exporter"), "--collector.disable-defaults", "--collector.textfile",
                 f"--collector.textfile.directory={tmp_path}", f"--web.listen-address=127.0.0.1:{port}") as alive:
        page = wait_for(lambda: alive() and get(f"http://127.0.0.1:{port}/metrics"))
    assert re.search(r"^node_textfile_scrape_error 0$", page, re.M), page
    for name, value in numbers(server).items():
        assert float(re.search(rf"^sallyport_{name} (\S+)$", page, re.M)[1]) == value
    # Helped and typed by us: of a family without a text the exporter says that it was read from a file.
    assert re.search(r"^# TYPE sallyport_sessions_started_total counter$", page, re.M)
    assert not re.search(r"^# HELP sallyport_\w+ Metric read from", page, re.M), page


@contextlib.contextmanager
def scrape_address(server, directory):
    """The port of the socket unit: systemd's own program listens, and its commands are run as the unit says, as root (+) and as a user."""
    unit = open(f"{BUILD}/etc/sallyport-metrics@.service").read().replace("\\\n", "")
    as_root, command = (re.search(rf"^{key}=\+?(.*)$", unit, re.M)[1] for key in ("ExecStartPre", "ExecStart"))
    assert re.search(r"^DynamicUser=yes$", unit, re.M) and re.search(r"^ExecStartPre=\+", unit, re.M)
    as_root = re.sub(r"\S+/sallyctl metrics", f"{BUILD}/sallyctl --socket {server.dir}/control metrics", as_root).replace("$$", "$")
    command = re.sub(r"\S+/sallyctl metrics", f"exec setpriv --reuid 64199 --regid 64199 --clear-groups --no-new-privs {BUILD}/sallyctl metrics", command)
    directory.chmod(0o755)
    script = re.sub(r"/\S*/(?=metrics\b)", f"{directory}/", f"{as_root} || exit 1\n{command}\n").replace(f"{directory}/metrics --http",
                                                                                                      "metrics --http")
    (directory / "script").write_text(script)
    port = free_port()
    with running(judge("systemd-socket-activate"), "-l", f"127.0.0.1:{port}", "--accept", "--inetd", "sh", str(directory / "script")) as alive:
        wait_for(lambda: alive() and socket.create_connection(("127.0.0.1", port), PATIENCE).close() is None)
        yield port


@pytest.mark.parametrize("request_, status", [
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200), (b"GET /metrics?a=b HTTP/1.0\r\n\r\n", 200), (b"HEAD /metrics HTTP/1.1\r\n\r\n", 200),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 200000, 200),
    (b"GET http://host:9121/metrics HTTP/1.1\r\n\r\n", 200), (b"\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n", 200),
    (b"GET http:// HTTP/1.1\r\n\r\n", 404), (b"GET http://metrics HTTP/1.1\r\n\r\n", 404),
    (b"GET / HTTP/1.1\r\n\r\n", 404), (b"GET /metrics/../../etc/shadow HTTP/1.1\r\n\r\n", 404), (b"GET /metrics%00 HTTP/1.1\r\n\r\n", 404),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405), (b"GET\r\n\r\n", 400), (b"GET /metrics\r\n\r\n", 400), (b"\r\n\r\n", 400),
    (b"\n\n", 400), (b" \r\n\r\n", 400), (b"GET /metrics HTTP/2.0\r\n\r\n", 400), (b"GET /metrics HTTP/1.1\r\n", 400), (b"", 400),
    (b"GET /me\0trics HTTP/1.1\r\n\r\n", 400), (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 431), (b"x" * 100000, 431),
    (b"\x16\x03\x01\x02\x00\x01\x00", 400)], ids=lambda v: repr(v)[:40])
def test_requests(server, tmp_path, request_, status):
    (tmp_path / "m").write_text("sallyport_bans 0\n")
    ours, theirs = socket.socketpair()
    with ours, theirs, subprocess.Popen([f"{BUILD}/sallyctl", "metrics", "--http", str(tmp_path / "m")], stdin=theirs, stdout=theirs) as process:
        theirs.close()
        ours.settimeout(PATIENCE)
        with contextlib.suppress(OSError):
            ours.sendall(request_)
            ours.shutdown(socket.SHUT_WR)
        got = b"".join(iter(lambda: ours.recv(65536), b""))
        ours.close()
        assert process.wait(PATIENCE) == 0
    head, body = got.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 %d " % status), got
    length = int(re.search(rb"^Content-Length: (\d+)\r$", head, re.M)[1])
    assert body == (b"" if request_.startswith(b"HEAD") else b"sallyport_bans 0\n" if status == 200 else body)
    assert len(body) == (0 if request_.startswith(b"HEAD") else length) and b"etc" not in got


def test_no_metrics(tmp_path):
    large = tmp_path / "large"
    large.write_bytes(b"x" * (8 << 20))
    r = subprocess.run([f"{BUILD}/sallyctl", "metrics", "--http", str(large)], input=b"GET /metrics HTTP/1.1\r\n\r\n", capture_output=True)
    assert r.returncode != 0 and r.stdout.startswith(b"HTTP/1.1 503 ") and b"large" in r.stderr, "a page that is cut is none"
    r = subprocess.run([f"{BUILD}/sallyctl", "metrics", "--http", str(tmp_path / "missing")], input=b"GET /metrics HTTP/1.1\r\n\r\n",
                       capture_output=True, timeout=PATIENCE)
    assert r.returncode != 0 and r.stdout.startswith(b"HTTP/1.1 503 ") and b"missing" in r.stderr and b"missing" not in r.stdout


def test_a_silent_client_is_answered_and_left(tmp_path):
    (tmp_path / "m").write_text("sallyport_bans 0\n")
    ours, theirs = socket.socketpair()
    with ours, theirs, subprocess.Popen([f"{BUILD}/sallyctl", "metrics", "--http", str(tmp_path / "m")], stdin=theirs, stdout=theirs) as process:
        theirs.close()
        ours.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert ours.recv(65536).startswith(b"HTTP/1.1 408 ")
        assert process.wait(PATIENCE) == 0


def test_prometheus(server, tmp_path):
    """Both forms, each with its own content type, as scrapes; and the address of the socket unit."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            form = self.path.strip("/")
            self.send_response(200)
            self.send_header("Content-Type", FORMS[form])
            self.end_headers()
            self.wfile.write(metrics(server, form).encode())

        def log_message(self, *args):
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    jobs = [{"job_name": f, "metrics_path": f"/{f}", "static_configs": [{"targets": [f"127.0.0.1:{web.server_port}"]}]} for f in FORMS]
    address = contextlib.ExitStack()
    port = address.enter_context(scrape_address(server, tmp_path))
    assert metrics(server).splitlines()[0] in get(f"http://127.0.0.1:{port}/metrics")
    jobs.append({"job_name": "unit", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]})
    everywhere = [j["job_name"] for j in jobs]
    (tmp_path / "p.yml").write_text(json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}))
    port = free_port()

    def ask(query):
        r = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}"))
        return {v["metric"].get("job"): float(v["value"][1]) for v in r["data"]["result"]}

    try:
        with running(judge("prometheus"), f"--config.file={tmp_path}/p.yml", f"--storage.tsdb.path={tmp_path}/data",
                     f"--web.listen-address=127.0.0.1:{port}") as alive:
            for name, value in numbers(server).items():
                wait_for(lambda: alive() and ask(f"sallyport_{name}") == dict.fromkeys(everywhere, value), name)
            assert ask("count by (job) (sallyport_certificate_expiry_timestamp_seconds)") == dict.fromkeys(everywhere, 2)
    finally:
        address.close()
        web.shutdown()
        web.server_close()


def test_no_other_form(server):
    r = subprocess.run([f"{BUILD}/sallyctl", "--socket", f"{server.dir}/control", "metrics", "xml"], capture_output=True, text=True,
                       timeout=PATIENCE)
    assert r.returncode == 64 and "openmetrics" in r.stdout + r.stderr


def test_refusals_by_reason(serve):
    s = serve("max_sessions_per_address = 2")
    s.ctl("ban", "127.0.0.9")
    before = {r["reason"]: r["value"] for r in s.ctl("metrics")["refusals_total"]}
    assert {"ban", "max_sessions", "max_sessions_per_address", "drain", "other"} <= set(before)

    def refused(address):
        with socket.create_connection(("127.0.0.1", s.port), PATIENCE, source_address=(address, 0)) as c:
            assert c.makefile("rb").readline().startswith(b"421 ")
    for _ in range(3):
        refused("127.0.0.9")
    with s.ftp("alice"), s.ftp("bob"):
        refused("127.0.0.1")
        after = {r["reason"]: r["value"] for r in s.ctl("metrics")["refusals_total"]}
        text = metrics(s)
    assert {k: after[k] - before[k] for k in after if after[k] != before[k]} == {"ban": 3, "max_sessions_per_address": 1}
    assert sum(after.values()) == int(re.search(r"^sallyport_refused_clients_total (\d+)$", text, re.M)[1])
    assert f'sallyport_refusals_total{{reason="ban"}} {after["ban"]}\n' in text
    r = subprocess.run([judge("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, timeout=PATIENCE)
    assert (r.returncode, r.stdout + r.stderr) == (0, "")


def test_alert_rules():
    for words in (["check", "rules", "rules.yml"], ["test", "rules", "rules-test.yml"]):
        r = subprocess.run([judge("promtool"), *words], cwd=f"{TOP}/contrib/prometheus", capture_output=True, text=True, timeout=PATIENCE)
        assert r.returncode == 0, r.stdout + r.stderr


def test_dashboard_and_rules_name_what_exists(tmp_path):
    """The dashboard's expressions are parsed by promtool; whatever is named there and in the rules is a row of metrics.def."""
    rows = set(re.findall(r'^(?:METRIC|SERIES)\("(\w+)"', open(f"{TOP}/daemon/listener/metrics.def").read(), re.M))
    with open(f"{TOP}/contrib/grafana/sallyport.json") as f:
        panels = json.load(f)["panels"]
    expressions = [t["expr"] for p in panels for t in p["targets"]]
    assert len({p["id"] for p in panels}) == len(panels) and all(expressions)
    rules = open(f"{TOP}/contrib/prometheus/rules.yml").read()
    named = set(re.findall(r"\bsallyport_(\w+)", " ".join(expressions)))
    assert named <= rows and set(re.findall(r"\bsallyport_(\w+)", rules)) <= rows
    assert rows == named | {"refused_clients_total"}, "each metric is on the dashboard"
    words = open(f"{TOP}/common/events.def").read()
    assert all(f'"{event}"' in words for event in re.findall(r"event=([\w-]+)", rules))
    recording = [{"record": f"x:{i}", "expr": e.replace("$__rate_interval", "5m").replace("$instance", ".*")} for i, e in enumerate(expressions)]
    (tmp_path / "r.yml").write_text(json.dumps({"groups": [{"name": "x", "rules": recording}]}))
    r = subprocess.run([judge("promtool"), "check", "rules", str(tmp_path / "r.yml")], capture_output=True, text=True, timeout=PATIENCE)
    assert r.returncode == 0, r.stdout + r.stderr
