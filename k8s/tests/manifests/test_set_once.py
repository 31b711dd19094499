"""Test that the changes described in docs/production.md break no other tests."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.local import ROOT, is_deleted

CHANGES = {
    "k8s/overlays/production/kustomization.yaml": [
        ("ingressClassName: nginx", "ingressClassName: other"),
    ],
    "k8s/components/network-policies/ingress-controller.yaml": [("[ingress-nginx, traefik]", "[other]")],
    "k8s/components/network-policies/database.yaml": [("10.0.0.0/8", "192.0.2.7/32")],
    "k8s/base/users-api/settings.env": [("TRUSTED_PROXIES=10.0.0.0/8", "TRUSTED_PROXIES=10.20.0.0/16")],
    "k8s/components/release/kustomization.yaml": [("newTag: v1", "newTag: v2-1")],
}
NOT_COPIED = shutil.ignore_patterns(".*_cache", ".git", ".hypothesis", ".venv", "__pycache__", "node_modules", "var")


def test_documented_changes_break_no_test(tmp_path: Path) -> None:
    tree = Path(shutil.copytree(ROOT, tmp_path / "tree", ignore=NOT_COPIED))
    (tree / ".venv").symlink_to(ROOT / ".venv")
    for name, changes in CHANGES.items():
        text = (tree / name).read_text()
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        (tree / name).write_text(text)
    docs = (ROOT / "docs" / "production.md").read_text()
    commands = re.findall(r"^(?:\| .* \| `| +)(git grep .*?)(?:` \|)?$", docs, re.MULTILINE)
    assert len(commands) == 4
    script = "\n".join(["git init --quiet", "git add .", *commands]).replace("\\|", "|")
    subprocess.run(["sh", "-e", "-c", script], cwd=tree, check=True)
    assert "namespace: your-namespace" in (tree / "k8s/overlays/local/kustomization.yaml").read_text()
    assert "newName: ghcr.io/acme/web" in (tree / "k8s/overlays/production/kustomization.yaml").read_text()
    assert "frontend.your.domain" in (tree / "k8s/base/web/ingress.yaml").read_text()
    alerts = (tree / "k8s/components/observability/alerts.yaml").read_text()
    assert 'up{namespace="your-namespace",job="web"}' in alerts
    assert "https://github.com/acme/thoughts/blob/main/docs/observability.md#nopods" in alerts
    tests = ["k8s/tests/manifests", f"--ignore=k8s/tests/manifests/{Path(__file__).name}"]
    tests += [] if is_deleted("tilt_modules") else ["tilt_modules/tests"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-c", "e2e/pytest.ini", *tests],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
