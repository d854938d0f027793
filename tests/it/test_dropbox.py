"""Drop boxes: where an account may neither list nor read, no answer tells whether a name is taken; what nobody may is not offered."""
import os
import re

import pytest

# Each: the language, its rules for what lies in /in and the commands that success itself answers.
BOXES = {
    "pyftpdlib": "layer = pyftpdlib e\n\toverride /in ewm recursive",
    "sftpplus": "layer = sftpplus\n\tallow-traverse\n\t/in*, allow-write, allow-create-folder\n\t/*, allow-list",
    "ups": "layer = ups -* +cC",
    "ups-all-but-looking": "layer = ups +* -rL",
    "ftpcluster": "layer = ftpcluster",
    "prefix": "layer = posix1e\nlayer = /in ups -* +cCmd",
}
# What changes nothing; {} is the name. STOR, APPE, MKD and RNFR tell by their success where they are allowed.
PROBES = ["CWD {}", "CWD {}/", "CWD {}/deep", "SIZE {}", "MDTM {}", "MDTM 20200101000000 {}/x", "MLST {}", "STAT {}", "STAT {}/x",
          "RETR {}", "RETR {}/x", "RETR {}/sub/x", "HASH {}", "XCRC {}", "AVBL {}", "RNFR {}/x/y", "DELE {}/x", "RMD {}/x",
          "APPE {}/x/y", "STOR {}/x/y", "STOU {}/x/y", "MKD {}/x/y", "MFMT 20200101000000 {}/x", "MFF Modify=20200101000000; {}/x",
          "SITE CHMOD 644 {}/x", "SITE UTIME 20200101000000 {}/x", "SITE SYMLINK x {}/x/y", "SITE READLINK {}", "SITE CHOWN bob {}/x",
          "SITE GETFACL {}", "SITE SETFACL u::rw,g::r,o::r {}/x", "SITE DELDEFACL {}/x"]
DATA = ("RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD")
LISTINGS = ["LIST {}", "NLST {}", "MLSD {}", "LIST {}*", "NLST {}/*"]
WHY = ["RETR", "STOR", "APPE", "DELE", "CWD", "MKD", "RNTO", "SIZE", "LIST", "MLSD", "RMD"]
UID = 64121


def start(serve, server=""):
    sections = "".join(f"[account {name}]\npassword = {{CLEAR}}{name}\nhome = {{dir}}/box\nrun_as = {UID}:{UID}\ncluster_uid = 7\n{layer}\n"
                       for name, layer in BOXES.items())
    s = serve(server, sections, accounts=())
    box = f"{s.dir}/box"
    os.makedirs(f"{box}/in/vault")
    for name in ("taken", "other"):
        with open(f"{box}/in/{name}", "wb") as f:
            f.write(b"secret")
    os.symlink("nowhere", f"{box}/in/dangling")
    os.symlink("looped", f"{box}/in/looped")
    with open(f"{box}/in/.permissions", "w") as f:
        f.write("7 w\n")
    os.mkdir(f"{box}/in/closed", 0o700)
    for name in (box, f"{box}/in", f"{box}/in/vault"):
        os.chmod(name, 0o777)
    return s


def probe(r, line, name):
    """What a client sees, with the name taken out."""
    if line.split()[0] in DATA:
        with r.passive():
            code, text = r.cmd(line.format("/in/" + name))
    else:
        code, text = r.cmd(line.format("/in/" + name))
    return code, text.replace(name, "NAME")


@pytest.mark.parametrize("language", BOXES)
@pytest.mark.parametrize("explain", ["no", "yes"])
def test_no_answer_tells_whether_a_name_is_taken(serve, language, explain):
    r = start(serve, f"explain_denials = {explain}").raw().login(language)
    for line in PROBES:
        missing = probe(r, line, "absent")
        for name in ("taken", "dangling", "looped", "closed"):
            there = probe(r, line, name)
            assert there == missing, (line, name)
            assert there[0] >= 500 or line.startswith("STAT"), (line, there)
    for line in LISTINGS:
        missing = probe(r, line, "absent")
        for name in ("taken", "dangling", "looped", "closed", "vault"):
            assert probe(r, line, name) == missing, (line, name)
    for command in WHY:
        missing, below = (probe(r, f"SITE WHY {command} {{}}{x}", "absent") for x in ("", "/x"))
        for name in ("taken", "dangling", "looped", "closed", "vault"):
            assert (probe(r, f"SITE WHY {command} {{}}", name), probe(r, f"SITE WHY {command} {{}}/x", name)) == (missing, below), (command, name)
    r.close()


@pytest.mark.parametrize("verb", ["STOR", "APPE"])
def test_an_offset_beyond_the_end_does_not_tell(serve, verb):
    """APPE after REST is STOR. Of whatever there is, or is not, every end lies before that offset."""
    s = start(serve)
    os.mkfifo(f"{s.dir}/box/in/fifo", 0o666)
    for language in BOXES:
        r = s.raw().login(language)
        answers = {}
        for name in ("absent", "taken", "vault", "closed", "fifo", "dangling", "vault/x", "closed/x", "absent/x", "taken/x"):
            assert r.cmd("REST 999999")[0] == 350
            answers[name] = probe(r, f"{verb} {{}}", name)
        assert len(set(answers.values())) == 1, (language, answers)
        r.close()


def test_stou_does_not_tell_either(serve):
    """Where names are hidden STOU adds a random number to every one of them, where they are not it takes the free one."""
    s = start(serve)
    for language in ("ups", "prefix", "pyftpdlib"):
        r = s.raw().login(language)
        for name in ("taken", "absent"):
            with r.passive() as data:
                code, text = r.cmd(f"STOU /in/{name}")
                assert code == 150 and re.search(rf"{name}\.[0-9a-f]{{8}}\b", text), (language, text)
                data.close()
            assert r.reply()[0] == 226
        r.close()
    assert not os.path.exists(f"{s.dir}/box/in/absent")


def test_what_may_be_known_is_still_said(serve):
    """Whoever may list is told what is wrong; so is whoever stores what the disk does not take."""
    s = serve("", "")
    os.makedirs(f"{s.homes['alice']}/d")
    with open(f"{s.homes['alice']}/f", "w") as f:
        f.write("x")
    r = s.raw().login()
    assert "Not a directory" in r.cmd("CWD f")[1] and "No such" in r.cmd("CWD none")[1] and "exists already" in r.cmd("MKD d")[1]
    assert "Not a plain file" in r.cmd("DELE d")[1]


# What each may never do, wherever, and what somewhere.
NEVER = {
    "pyftpdlib": ("RETR SIZE DELE RMD RNFR LIST MLSD", "STOR CWD", "SIZE MLST HASH XCRC", "CHMOD SYMLINK"),
    "sftpplus": ("RETR DELE RMD RNFR", "STOR MKD LIST", "HASH XCRC", "CHMOD SYMLINK CHOWN"),
    "ups": ("RETR SIZE DELE RMD MKD RNFR RNTO LIST NLST MLSD MLST", "STOR CWD APPE STOU", "SIZE MLST HASH XCRC XMD5", "CHMOD SYMLINK UMASK"),
    "ftpcluster": ("", "RETR STOR DELE LIST SIZE", "", "SYMLINK UMASK USERADD"),
    "prefix": ("", "RETR STOR DELE LIST SIZE MKD", "", "USERADD"),
}


@pytest.mark.parametrize("language", NEVER)
def test_what_is_never_allowed_is_not_offered(serve, language):
    never, somewhere, features, site = (text.split() for text in NEVER[language])
    r = start(serve).raw().login(language)
    offered = re.findall(r"[A-Z0-9]+", r.cmd("HELP")[1].split("\n", 1)[1])
    assert not set(never) & set(offered) and set(somewhere + ["NOOP", "QUIT", "EPSV"]) <= set(offered), offered
    lines = [line.split()[0] for line in r.cmd("FEAT")[1].split("\r\n")[1:-2]]
    assert not set(features) & set(lines) and {"UTF8", "EPSV", "REST"} <= set(lines), lines
    offered = re.findall(r"[A-Z]+", r.cmd("SITE HELP")[1].split("\n", 1)[1])
    assert not set(site) & set(offered) and {"HELP", "IDLE"} <= set(offered), offered
    # What is left out is refused, whatever it is about.
    for verb in never:
        if verb not in ("RNTO",):
            assert probe(r, f"{verb} {{}}", "taken")[0] in (550, 553), verb
    r.close()


SETTINGS = {    # account: settings, never offered (commands, features, SITE), still offered
    "reader": ("layer = pyftpdlib elr", "STOR STOU APPE DELE RMD MKD RNFR RNTO ALLO MFMT MFF", "MFMT MFF", "CHMOD SYMLINK UTIME USERADD CHOWN",
               "RETR REST RANG HASH MDTM"),
    "uploads": ("layer = pyftpdlib ew", "RETR RANG HASH XCRC DELE RMD MKD RNFR RNTO LIST MLSD SIZE", "RANG HASH XCRC SIZE MLST", "CHMOD", "STOR ALLO REST"),
    "nodelete": ("layer = pyftpdlib elrafmwMT", "DELE RMD", "", "", "RETR STOR MKD RNFR RNTO APPE RANG"),
    "norename": ("layer = ups -n", "RNFR RNTO", "", "", "RETR STOR DELE"),
    "looker": ("layer = pyftpdlib el", "RETR STOR STOU APPE REST RANG ALLO HASH XCRC", "REST RANG HASH", "", "LIST MLSD SIZE MLST"),
    "calls": ("active_mode = no", "PORT EPRT", "EPRT", "", "PASV EPSV RETR"),
    "waits": ("passive_mode = no", "PASV EPSV", "EPSV", "", "PORT EPRT RETR"),
    "closed": ("explain_denials = no", "", "", "WHY", "RETR"),
}
REFUSED_ANYWAY = "SMNT LPRT LPSV MFCT ADAT MIC CONF ENC"


@pytest.mark.parametrize("name", SETTINGS)
def test_what_settings_forbid_is_not_offered(serve, name):
    """Nor is what belongs to a command that is forbidden, TLS where there is none, and what is always refused."""
    settings, never, features, site, still = SETTINGS[name]
    layer = "" if "layer" in settings else "layer = pyftpdlib elradfmwMT\n"
    s = serve("explain_denials = yes", f"[account {name}]\npassword = {{CLEAR}}{name}\nhome = {{dir}}/h\nrun_as = {UID}:{UID}\n{layer}{settings}\n",
              accounts=())
    os.makedirs(f"{s.dir}/h")
    r = s.raw().login(name)
    offered = set(re.findall(r"\b[A-Z0-9]+\b", r.cmd("HELP")[1].split("\n", 1)[1]))
    never = set(never.split()) | set(REFUSED_ANYWAY.split()) | {"AUTH", "PBSZ", "PROT", "CCC"}
    assert not never & offered and set(still.split()) <= offered, (never & offered, set(still.split()) - offered)
    lines = {line.split()[0] for line in r.cmd("FEAT")[1].split("\r\n")[1:-2]}
    assert not (set(features.split()) | {"AUTH", "PBSZ", "PROT"}) & lines and lines <= offered | {"UTF8", "TVFS", "HOST"}, lines
    offered = set(re.findall(r"\b[A-Z]+\b", r.cmd("SITE HELP")[1].split("\n", 1)[1])) - {"SITE", "END"}
    assert not set(site.split()) & offered and ("WHY" in offered) == (name != "closed"), offered
    r.close()
