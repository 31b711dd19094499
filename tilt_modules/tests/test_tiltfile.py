"""Tests of the resources, images and buttons that the Tiltfile defines."""

import re
import subprocess
from pathlib import Path

import pytest

from common.http.faults import Fault
from tilt_modules.tests.conftest import read
from tilt_modules.tests.tilt import Object, Tilt
from tools import cluster
from tools.kubectl import NAMESPACE
from tools.local import ROOT
from tools.projects import SERVICES, WITH_DATABASE
from tools.reloader import ONLY_AT_START

DATABASES = {project.service: project.postgres for project in WITH_DATABASE}
APIS = [*DATABASES]
FAULT_BUTTONS = {
    "slow": "Make slow",
    "failing": "Make it fail",
    "down": "Take down",
    "normal": "Back to normal",
}
RELOAD = 'result=$(timeout 30 cat /tmp/reload) && [ "$result" = ok ] && kill -HUP 1 || { echo "$result"; exit 1; }'
RESET = 'psql -U $POSTGRES_USER -d $POSTGRES_DB -c "DROP SCHEMA public CASCADE; CREATE SCHEMA public"'


def test_tiltfile_is_a_list_of_calls() -> None:
    text = (ROOT / "Tiltfile").read_text()
    assert len(text.splitlines()) <= 20 * len(SERVICES)
    assert not re.search(r"^(def|for|if) ", text, re.MULTILINE)


def test_version_constraint_matches_the_docs(tilt: Tilt) -> None:
    named = re.search(r"Tilt\]\([^)]*\) ([\d.]+) or newer", (ROOT / "docs" / "development.md").read_text())
    assert named
    assert tilt.constraint == f">={named[1]}.0"


def test_docstring_of_every_function_lists_its_arguments() -> None:
    files = list((ROOT / "tilt_modules").glob("*/Tiltfile"))
    assert len(files) == 5
    for file in files:
        functions = re.split(r"^def (?=[a-z])", file.read_text(), flags=re.MULTILINE)[1:]
        assert functions
        for function in functions:
            found = re.match(r'(\w+)\((.*?)\):\n    """(.*?)"""', function, re.DOTALL)
            assert found, function
            name, arguments, doc = found.groups()
            for argument in re.findall(r"(?:^|, )(\w+)", arguments):
                assert re.search(rf"^      {argument}: ", doc, re.MULTILINE), f"{argument} of {name}"


def test_every_workload_has_a_resource_with_a_label(tilt: Tilt) -> None:
    # In addition to the services, each API has a database and a migration, and users-api has a CronJob.
    assert len(tilt.workloads) == len(SERVICES) + 2 * len(APIS) + 1
    for name in tilt.workloads:
        assert tilt.resources[name]["workload"] == name
        assert tilt.resources[name]["labels"]


def test_every_object_belongs_to_a_resource(tilt: Tilt) -> None:
    workloads = {name for name, each in tilt.resources.items() if each["workload"]}
    assert workloads == tilt.workloads.keys()
    others = {
        f"{each['metadata']['name']}:{each['kind']}"
        for each in tilt.objects
        if not {"template", "jobTemplate"} & each.get("spec", {}).keys()
        and each["kind"] != "Service"  # Tilt adds each Service to the resource of its workload
    }
    assert {*tilt.resources["settings"]["objects"]} == others
    assert "made:Secret" in others
    assert tilt.resources.keys() - workloads == {"settings"}


def test_labels_are_services_data_and_tests(tilt: Tilt) -> None:
    labels = {name: each["labels"] for name, each in (tilt.resources | tilt.local_resources).items()}
    assert labels == {
        **{name: ["services"] for name in SERVICES},
        **{name: ["data"] for name in ["settings", *DATABASES.values(), *(f"{name}-migrate" for name in APIS)]},
        "users-api-flush-expired": ["data"],
        **{f"{name}-tests": ["tests"] for name in SERVICES},
        "last-errors": ["services"],
    }


def test_services_depend_on_migrations_and_migrations_on_databases(tilt: Tilt) -> None:
    dependencies = {name: each["resource_deps"] for name, each in tilt.resources.items()}
    assert dependencies == {
        "settings": [],
        **{database: ["settings"] for database in DATABASES.values()},
        **{f"{name}-migrate": [database] for name, database in DATABASES.items()},
        **{name: [f"{name}-migrate"] for name in APIS},
        "users-api-flush-expired": ["users-api-migrate"],
        "web": ["settings"],
    }


def test_each_service_has_the_same_local_port_as_with_make_run(tilt: Tilt) -> None:
    forwarded = {name: each["port_forwards"] for name, each in tilt.resources.items() if each["port_forwards"]}
    assert forwarded == {name: {project.port: 8000} for name, project in SERVICES.items()}


def test_every_link_has_the_host_of_an_ingress(tilt: Tilt) -> None:
    links = {name: each["links"] for name, each in tilt.resources.items() if each["links"]}
    assert links == {
        **{name: {project.title: f"http://{project.host}.localhost"} for name, project in SERVICES.items()},
        "users-api": {"Users API": "http://users.localhost", "Admin": "http://users.localhost/admin/"},
        "web": {"Your thoughts": "http://frontend.localhost", "Everyone's": "http://frontend.localhost/search"},
    }
    hosts = {
        rule["host"]: rule["http"]["paths"][0]["backend"]["service"]["name"]
        for each in tilt.objects
        if each["kind"] == "Ingress"
        for rule in each["spec"]["rules"]
    }
    for name, urls in links.items():
        for url in urls.values():
            assert hosts[url.split("/")[2]] == name


def images(workload: Object) -> set[str]:
    """Return the names of the images that a workload uses, without tags."""
    spec = workload["spec"]
    spec = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]["spec"]
    return {each["image"].partition(":")[0] for each in [*spec.get("initContainers", []), *spec["containers"]]}


def test_every_image_except_the_database_is_built(tilt: Tilt) -> None:
    found = set().union(*map(images, tilt.workloads.values()))
    assert found - {"postgres"} == tilt.images.keys() == {*cluster.IMAGES}


@pytest.mark.parametrize("service", SERVICES)
def test_image_is_built_from_its_project_and_common(tilt: Tilt, service: str) -> None:
    project = cluster.IMAGES[service]
    image = tilt.images[service]
    assert image["context"] == "."
    assert image["build_args"] == {"PROJECT": project}
    assert image["only"] == ["common", project]
    assert image["ignore"] == ["**/tests", "**/__pycache__"]
    assert image["target"] == "development"
    assert f" AS {image['target']}\n" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("service", SERVICES)
def test_edit_is_synced_without_a_build(tilt: Tilt, service: str) -> None:
    project = cluster.IMAGES[service]
    migrate = {"run": f"python {project}/manage.py migrate --no-input", "trigger": [f"{project}/migrations"]}
    assert tilt.images[service]["live_update"] == [
        {
            "fall_back_on": [
                f"{project}/requirements.txt",
                "common/requirements-telemetry.txt",
                *ONLY_AT_START[1:],
            ]
        },
        {"sync": ["common", "/app/common"]},
        {"sync": [project, f"/app/{project}"]},
        *([migrate] if service in APIS else []),
        {"run": RELOAD, "trigger": None},
    ]
    assert "WORKDIR /app\n" in (ROOT / "Dockerfile").read_text()
    for path in (f"{project}/requirements.txt", "common", f"{project}/migrations" if service in APIS else project):
        assert (ROOT / path).exists()


def test_production_image_has_no_live_update(tilt: Tilt) -> None:
    production = read(image="production")
    assert {image["target"] for image in production.images.values()} == {"production"}
    assert not any(image["live_update"] for image in production.images.values())


def test_tests_and_last_errors_run_only_on_demand(tilt: Tilt) -> None:
    errors = ["make", "--silent", "last-errors", "context=kind-kind"]
    assert tilt.local_resources["last-errors"]["cmd"] == errors
    assert not tilt.local_resources["last-errors"]["auto_init"]
    for service in SERVICES:
        assert tilt.local_resources[f"{service}-tests"] == {
            "cmd": ["make", "--silent", "test", f"only={cluster.IMAGES[service]}"],
            "auto_init": False,
            "trigger_mode": "manual",
            "labels": ["tests"],
        }


def manual(tilt: Tilt) -> set[str]:
    """Return the resources that Tilt updates only at the developer's request."""
    return {name for name, each in tilt.resources.items() if each["trigger_mode"] == "manual"}


def test_development_applies_migrations_in_live_updates_and_new_pods(tilt: Tilt) -> None:
    assert manual(tilt) == {f"{name}-migrate" for name in APIS}
    stage = (ROOT / "Dockerfile").read_text().partition(" AS development\n")[2].partition("\nFROM ")[0]
    migrate, _, serve = stage.partition("CMD ")[2].partition(";")
    assert "python ${PROJECT}/manage.py migrate --no-input" in migrate
    assert serve.strip(" \\\n").startswith("exec gunicorn ")


def test_migrations_run_automatically_for_the_production_image(tilt: Tilt) -> None:
    assert manual(read(image="production")) == set()


def kubectl(arguments: str) -> str:
    return f"kubectl --context=kind-kind --namespace={NAMESPACE} exec {arguments}"


def expected_buttons() -> dict[str, tuple[str, str, list[str]]]:
    """Return the expected resource, text and command of each button, by name."""
    buttons: dict[str, tuple[str, str, list[str]]] = {}
    for service in APIS:
        project = cluster.IMAGES[service]
        manage = kubectl(f"deployment/{service} -- python {project}/manage.py")
        reset = kubectl(f"statefulset/{DATABASES[service]} -- sh -c '{RESET}'")
        migrate, load = f"{manage} migrate --no-input", f"{manage} load_sample_data"
        make = ["make", "--silent", "manage", f"in={project}", "do=makemigrations"]
        buttons |= {
            f"reset-{service}": (
                DATABASES[service],
                "Reset the database",
                ["sh", "-c", f"{reset} && {migrate} && {load}"],
            ),
            f"migrate-{service}": (service, "Migrate", ["sh", "-c", migrate]),
            f"makemigrations-{service}": (service, "Make migrations", make),
            f"load-sample-data-{service}": (service, "Load sample data", ["sh", "-c", load]),
        }
    buttons["show-last-errors"] = ("last-errors", "Last errors", ["tilt", "trigger", "last-errors"])
    for service in SERVICES:
        buttons[f"test-{service}"] = (service, "Run its tests", ["tilt", "trigger", f"{service}-tests"])
        selector = f"app.kubernetes.io/name={service},app.kubernetes.io/component=server"
        pods = f"kubectl --context=kind-kind --namespace={NAMESPACE} get pods --selector={selector}"
        pods += " --field-selector=status.phase=Running --output=name"
        for fault, text in FAULT_BUTTONS.items():
            write = kubectl(f"$pod --container=server -- sh -c 'echo {fault} > /tmp/fault'")
            loop = f"pods=$({pods}) && for pod in $pods; do {write} || exit 1; echo $pod is {fault}; done"
            buttons[f"{fault}-{service}"] = (service, text, ["sh", "-c", loop])
    create = 'DJANGO_SUPERUSER_PASSWORD=$(cat) python users_api/manage.py createsuperuser --no-input --username "$0"'
    execute = kubectl(f"-i deployment/users-api -- sh -c '{create}' \"$NAME\"")
    buttons["create-admin"] = ("users-api", "Create an admin", ["sh", "-c", f'printf %s "$PASSWORD" | {execute}'])
    return buttons


def test_every_button_runs_its_command(tilt: Tilt) -> None:
    found = {
        name: (tilt.commands[name]["resource"], button["text"], tilt.commands[name]["args"])
        for name, button in tilt.buttons.items()
        if not name.startswith("shell-")
    }
    assert found == expected_buttons()
    assert {name: command["buttons"] for name, command in tilt.commands.items()} == {
        name: [name] for name in tilt.buttons
    }


def test_each_button_logs_to_a_resource_and_is_shown_there_or_in_the_header(tilt: Tilt) -> None:
    for name, button in tilt.buttons.items():
        resource = tilt.commands[name]["resource"]
        assert resource in tilt.resources | tilt.local_resources
        place = {"component_id": resource, "component_type": "Resource"}
        header = {"component_id": "nav", "component_type": "Global"}
        assert button["location"] == (header if name == "show-last-errors" else place)


@pytest.mark.parametrize(("service", "database"), DATABASES.items())
def test_shell_button_prints_commands_that_connect_to_the_database(tilt: Tilt, service: str, database: str) -> None:
    command = tilt.commands[f"shell-{service}"]["args"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    name = SERVICES[service].database
    kubectl = f"kubectl --context=kind-kind --namespace={NAMESPACE}"
    assert done.stdout.splitlines() == [
        f"{kubectl} exec --stdin --tty statefulset/{database} -- sh -c 'psql -U $POSTGRES_USER -d $POSTGRES_DB'",
        f"{kubectl} port-forward statefulset/{database} 15432:5432",
        f"PGPASSWORD=$(cat var/cluster/keys/{name}.password)"
        f" pgcli --host=localhost --port=15432 --username={name} {name}",
    ]


def test_fault_buttons_exist_only_for_the_development_image(tilt: Tilt) -> None:
    assert {*FAULT_BUTTONS} == {*Fault}
    names = {f"{fault}-{service}" for fault in FAULT_BUTTONS for service in SERVICES}
    assert tilt.buttons.keys() - read(image="production").buttons.keys() == names
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    [stage] = [each for each in stages if "FAULTS" in each]
    assert " AS development\n" in stage


def test_fault_button_writes_to_a_file_in_each_pod(tilt: Tilt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = tmp_path / "kubectl"
    # This kubectl lists the pods in a file, and logs the arguments of `exec`. In pod/broken, `exec` fails.
    kubectl.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *" get pods "*) cat {tmp_path}/pods;; *broken*) exit 1;; *) echo "$@" >> {tmp_path}/log;; esac\n'
    )
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def click() -> "subprocess.CompletedProcess[str]":
        command = tilt.commands["slow-web"]["args"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert click().returncode == 1  # kubectl cannot list the pods
    (tmp_path / "pods").write_text("pod/a\npod/b\n")
    assert click().stdout == "pod/a is slow\npod/b is slow\n"
    written = (
        f"--context=kind-kind --namespace={NAMESPACE} exec pod/%s --container=server -- sh -c echo slow > /tmp/fault"
    )
    assert (tmp_path / "log").read_text().splitlines() == [written % "a", written % "b"]
    (tmp_path / "pods").write_text("pod/broken\npod/a\n")
    assert click().returncode == 1


def test_destructive_buttons_ask_for_confirmation(tilt: Tilt) -> None:
    confirmed = {name for name, button in tilt.buttons.items() if button["confirm"]}
    destructive = {name for name, command in tilt.commands.items() if "DROP" in str(command["args"])}
    assert confirmed == destructive == {f"reset-{service}" for service in APIS}


def test_only_the_admin_button_has_inputs(tilt: Tilt) -> None:
    inputs = {name: button["inputs"] for name, button in tilt.buttons.items() if button["inputs"]}
    assert inputs == {"create-admin": {"NAME": "User name", "PASSWORD": "Password"}}


def test_buttons_use_existing_targets(tilt: Tilt) -> None:
    kinds = {(each["kind"].lower(), each["metadata"]["name"]) for each in tilt.objects}
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name, button in tilt.buttons.items():
        assert button["icon"]
        arguments = tilt.commands[name]["args"]
        for kind, workload in re.findall(r"(deployment|statefulset)/(\S+)", " ".join(arguments)):
            assert (kind, workload) in kinds
        for project in re.findall(r"(\w+)/manage\.py load_sample_data", " ".join(arguments)):
            assert Path(ROOT, project, "management", "commands", "load_sample_data.py").exists()
        if arguments[0] == "make":
            assert arguments[2] in targets
        if arguments[0] == "tilt":
            assert arguments[2] in tilt.local_resources
    for resource in tilt.local_resources.values():
        assert resource["cmd"][2] in targets


def test_manifests_are_watched(tilt: Tilt) -> None:
    assert tilt.watched == ["k8s"]
    assert "make --silent cluster-secrets" in tilt.executed


def test_all_resources_are_enabled_by_default(tilt: Tilt) -> None:
    assert tilt.enabled is None
    assert tilt.defined["services"]["args"]


@pytest.mark.parametrize(
    ("named", "enabled"),
    [
        (["users-api"], {"users-api"}),
        (["thoughts-api"], {"thoughts-api", "users-api"}),
        (["web"], {"web", "thoughts-api", "users-api"}),
        (["users-api", "web"], {"web", "thoughts-api", "users-api"}),
    ],
)
def test_service_enables_its_dependencies(tilt: Tilt, named: list[str], enabled: set[str]) -> None:
    found = read(services=named).enabled
    assert found is not None
    assert len(found) == len({*found})
    parts = {*enabled, *(f"{name}-tests" for name in enabled)}
    parts |= {part for name in enabled & {*APIS} for part in (DATABASES[name], f"{name}-migrate")}
    assert {*found} == {"settings", "last-errors"} | parts
    assert {*found} <= (tilt.resources | tilt.local_resources).keys()


def test_observability_adds_three_programs_and_changes_only_settings(tilt: Tilt) -> None:
    observed = read(observability=True)
    added = {"prometheus": 9090, "grafana": 3000, "jaeger": 16686}
    assert observed.workloads.keys() - tilt.workloads.keys() == added.keys()
    assert {name: each for name, each in observed.resources.items() if name not in added} == {
        **tilt.resources,
        "settings": observed.resources["settings"],
    }
    hosts = {
        rule["host"]: rule["http"]["paths"][0]["backend"]["service"]["name"]
        for each in observed.objects
        if each["kind"] == "Ingress"
        for rule in each["spec"]["rules"]
    }
    for name, port in added.items():
        resource = observed.resources[name]
        assert resource["labels"] == ["observability"]
        assert resource["resource_deps"] == ["settings"]
        assert resource["port_forwards"] == {port: port}
        assert resource["links"]
        for url in resource["links"].values():
            assert hosts[url.split("/")[2]] == name


@pytest.mark.parametrize("observability", [False, True])
def test_observability_stays_enabled_with_selected_services(observability: bool) -> None:
    enabled = read(services=["users-api"], observability=observability).enabled
    assert enabled is not None
    assert ({"prometheus", "grafana", "jaeger"} <= {*enabled}) is observability


@pytest.mark.parametrize("name", ["kind-kind", "k3d-dev", "minikube", "docker-desktop", "colima", "orbstack"])
def test_context_with_a_local_name_is_accepted(name: str) -> None:
    tilt = read(context=name)
    assert tilt.allowed == []
    assert not [command for command in tilt.executed if "local-registry-hosting" in command]


def test_context_with_a_local_registry_is_accepted() -> None:
    assert read(context="testcluster", hosting="configmap/local-registry-hosting\n").allowed == ["testcluster"]
