"""deploy_manifests: Kubernetes, compose and the image, without an engine: every file against a strict schema, every
reference followed, every command line, probe and configuration run against the real programs."""
import glob
import json
import os
import re
import shlex
import subprocess

import jsonschema
import pytest
import yaml

from support.daemons import BIN_DIR, ROOT, run_program
from support.http import get

DEPLOY = os.path.join(ROOT, "deploy")
KUBERNETES = os.path.join(DEPLOY, "kubernetes")


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


class UniqueKeys(yaml.SafeLoader):
    """YAML in which a key given twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"a key is given twice near {node.start_mark}"
        return super().construct_mapping(node, deep)


def load_all(path):
    return [d for d in yaml.load_all(read(path), Loader=UniqueKeys) if d is not None]  # noqa: S506 (a SafeLoader)


def objects(kind=None):
    found = []
    for path in sorted(glob.glob(os.path.join(KUBERNETES, "*.yaml"))):
        found += load_all(path)
    return [o for o in found if kind is None or o["kind"] == kind]


def one(kind, name):
    return next(o for o in objects(kind) if o["metadata"]["name"] == name)


def workloads():
    return objects("StatefulSet") + objects("Deployment")


def pod(workload):
    return workload["spec"]["template"]["spec"]


def labels(workload):
    return workload["spec"]["template"]["metadata"]["labels"]


def matches(selector, having):
    return bool(selector) and selector.items() <= having.items()


def container_ports(workload):
    return {p["name"]: p["containerPort"] for c in pod(workload)["containers"] for p in c["ports"]}


def config_map():
    return yaml.safe_load(one("ConfigMap", "notifyhub")["data"]["notifyhub.yaml"])


@pytest.fixture(scope="module")
def dockerfile():
    """[(instruction, rest)] with continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", read(DEPLOY, "docker", "Dockerfile"), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


# --- Kubernetes ---

def test_objects_fit_the_schema():
    schema = json.loads(read(ROOT, "tests", "support", "kubernetes.schema.json"))
    for value in objects():
        kind = {**schema["definitions"][value["kind"]], "definitions": schema["definitions"]}
        jsonschema.Draft7Validator(kind).validate(value)
        jsonschema.Draft7Validator(schema).validate(value)


def test_names_are_unique_and_all_files_are_listed():
    named = [(o["kind"], o["metadata"]["name"]) for o in objects() if o["kind"] != "Kustomization"]
    assert len(named) == len(set(named))
    kustomization = objects("Kustomization")[0]
    files = {os.path.basename(p) for p in glob.glob(os.path.join(KUBERNETES, "*.yaml"))} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == files
    images = {i["name"]: i["newTag"] for i in kustomization["images"]}
    for workload in workloads():
        name, tag = pod(workload)["containers"][0]["image"].split(":")
        assert images[name] == tag


def test_selectors_match_what_they_mean():
    for workload in workloads():
        assert matches(workload["spec"]["selector"]["matchLabels"], labels(workload))
    assert not matches(labels(workloads()[0]), labels(workloads()[1])), "hub and gateway must not match each other"
    for kind, path in (("Service", ["selector"]), ("PodDisruptionBudget", ["selector", "matchLabels"]),
                       ("NetworkPolicy", ["podSelector", "matchLabels"])):
        for value in objects(kind):
            selector = value["spec"]
            for key in path:
                selector = selector[key]
            hit = [w["metadata"]["name"] for w in workloads() if matches(selector, labels(w))]
            assert hit == [value["metadata"]["name"]], (kind, selector, hit)
    for spread in pod(one("Deployment", "notifyhub-gateway"))["topologySpreadConstraints"]:
        assert matches(spread["labelSelector"]["matchLabels"], labels(one("Deployment", "notifyhub-gateway")))


def test_ports_lead_to_the_programs():
    settings = config_map()
    hub, gateway = one("StatefulSet", "notifyhub-hub"), one("Deployment", "notifyhub-gateway")
    assert container_ports(hub) == {door: settings["hub"].get(door + "_port", default) for door, default in
                                    (("collector", 4245), ("publisher", 4246), ("requests", 4247))}
    assert container_ports(gateway) == {"http": int(settings["gateway"]["listen"].rsplit(":", 1)[1])}
    for service in objects("Service"):
        workload = next(w for w in workloads() if matches(service["spec"]["selector"], labels(w)))
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in container_ports(workload), (service["metadata"]["name"], port)
    # A headless service does not translate ports: both sides must be equal, and the gateway uses the hub's own.
    headless = one("Service", "notifyhub-hub")
    for port in headless["spec"]["ports"]:
        assert port["port"] == container_ports(hub)[port["targetPort"]]
    assert settings["gateway"]["hub_host"] == headless["metadata"]["name"] == hub["spec"]["serviceName"]
    policy = one("NetworkPolicy", "notifyhub-hub")["spec"]["ingress"][0]
    assert {p["port"] for p in policy["ports"]} == set(container_ports(hub))
    assert any(matches(source["podSelector"]["matchLabels"], labels(gateway)) for source in policy["from"])


def test_volumes_are_there_and_the_journal_is_on_one():
    for workload in workloads():
        volumes = {v["name"] for v in pod(workload).get("volumes", [])}
        volumes |= {v["metadata"]["name"] for v in workload["spec"].get("volumeClaimTemplates", [])}
        for value in pod(workload).get("volumes", []):
            if "configMap" in value:
                one("ConfigMap", value["configMap"]["name"])
        mounts = {m["mountPath"]: m["name"] for m in pod(workload)["containers"][0]["volumeMounts"]}
        assert set(mounts.values()) <= volumes
        if workload["kind"] == "StatefulSet":
            assert mounts[config_map()["hub"]["journal"]["path"]] == "data"
            assert pod(workload)["securityContext"]["fsGroup"], "the volume belongs to the daemon's group"


def test_times_let_the_gateway_drain():
    drain = int(config_map()["gateway"]["drain_s"].rstrip("s"))
    for workload in workloads():
        assert pod(workload)["terminationGracePeriodSeconds"] >= drain + 10
    gateway = one("Deployment", "notifyhub-gateway")
    assert gateway["spec"]["replicas"] >= 2
    assert one("PodDisruptionBudget", "notifyhub-gateway")["spec"]["minAvailable"] < gateway["spec"]["replicas"]
    assert one("StatefulSet", "notifyhub-hub")["spec"]["replicas"] == 1, "one hub gives out the numbers"


def test_probes_of_the_gateway_exist(gateway):
    probes = pod(one("Deployment", "notifyhub-gateway"))["containers"][0]
    described = get(gateway.port, "/openapi.json").json["paths"]
    for name, path in (("startupProbe", "/health"), ("livenessProbe", "/health"), ("readinessProbe", "/health/ready")):
        probe = probes[name]["httpGet"]
        assert probe["path"] == path and path in described
        assert get(gateway.port, path).status == 200


def exec_probes():
    return [pod(w)["containers"][0][name]["exec"]["command"] for w in workloads()
            for name in ("startupProbe", "livenessProbe", "readinessProbe") if "exec" in pod(w)["containers"][0][name]]


def test_exec_probes_tell_the_truth(hub):
    env = {"NOTIFYHUB_HUB_REQUESTS_PORT": str(hub.requests)}
    probes = exec_probes()
    assert len(probes) == 3
    for command in probes:
        done = run_program(command[0], *command[1:], env=env)
        assert done.returncode == 0, (command, done)
    hub.stop()
    for command in probes[:1]:
        assert run_program(command[0], *command[1:], env=env).returncode != 0


def test_probe_limits_are_longer_than_what_they_run():
    for workload in workloads():
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = pod(workload)["containers"][0][name]
            command = probe.get("exec", {}).get("command", [])
            if command:
                assert probe["timeoutSeconds"] > float(command[command.index("--timeout") + 1])


def test_the_config_map_is_a_good_configuration(tmp_path):
    path = tmp_path / "notifyhub.yaml"
    path.write_text(one("ConfigMap", "notifyhub")["data"]["notifyhub.yaml"], encoding="utf-8")
    for name in ("notifyhub-hub", "notifyhub-gateway"):
        done = run_program(name, "--config", path, "--check-config")
        assert done.returncode == 0, done.stderr
        effective = yaml.safe_load(done.stdout)
        assert effective["gateway"]["hub_host"] == "notifyhub-hub" and effective["hub"]["bind"] == "*"


def test_commands_of_the_pods_start_the_programs(tmp_path):
    for workload in workloads():
        container = pod(workload)["containers"][0]
        command = container["command"]
        mount = next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "config")
        assert command[command.index("--config") + 1] == mount + "/notifyhub.yaml"
        assert os.path.exists(os.path.join(BIN_DIR, command[0]))
    # Service links are off in these pods; where somebody leaves them on, their variables are no configuration of ours.
    links = {"NOTIFYHUB_GATEWAY_PORT": "tcp://10.0.0.7:80", "NOTIFYHUB_GATEWAY_SERVICE_HOST": "10.0.0.7",
             "NOTIFYHUB_GATEWAY_SERVICE_PORT_HTTP": "80", "NOTIFYHUB_GATEWAY_PORT_80_TCP_ADDR": "10.0.0.7"}
    done = run_program("notifyhub-gateway", "--check-config", env=links)
    assert done.returncode == 0, done.stderr


# --- the image and compose ---

def test_dockerfile_copies_only_what_exists(dockerfile):
    ignore = read(DEPLOY, "docker", "Dockerfile.dockerignore").splitlines()
    let_in = [line[1:] for line in ignore if line.startswith("!")]
    for instruction, rest in dockerfile:
        if instruction == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert os.path.exists(os.path.join(ROOT, source)), source
                assert any(source == p or source.startswith(p + "/") for p in let_in), f"{source} is not sent to the builder"
    stages = [rest.split(" AS ")[1] for instruction, rest in dockerfile if instruction == "FROM" and " AS " in rest]
    for instruction, rest in dockerfile:
        if instruction == "COPY" and rest.startswith("--from="):
            assert rest.split()[0].removeprefix("--from=") in stages


def test_dockerfile_is_small_and_not_root(dockerfile):
    froms = [rest.split()[0] for instruction, rest in dockerfile if instruction == "FROM"]
    assert froms == ["debian:bookworm-slim"] * 2
    final = dockerfile[max(i for i, (instruction, _) in enumerate(dockerfile) if instruction == "FROM"):]
    user = [rest for instruction, rest in final if instruction == "USER"]
    assert len(user) == 1 and int(user[0].split(":")[0]) > 0
    for workload in workloads():
        context = pod(workload)["securityContext"]
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == user[0]
    runs = " ".join(rest for instruction, rest in final if instruction == "RUN")
    assert "packages_run[@]" in runs and "packages_build" not in runs and "/var/lib/apt/lists" in runs
    health = next(rest for instruction, rest in final if instruction == "HEALTHCHECK")
    assert json.loads(health[health.index("CMD") + 3:])[:2] == ["notifyhub", "health"]
    assert json.loads(next(rest for instruction, rest in final if instruction == "CMD")) == ["notifyhub-hub"]


def environment_of(dockerfile):
    env = {}
    for instruction, rest in dockerfile:
        if instruction == "ENV":
            env.update(word.split("=", 1) for word in shlex.split(rest))
    return env


def test_dockerfile_environment_is_a_good_configuration(dockerfile):
    env = environment_of(dockerfile)
    env["NOTIFYHUB_CONFIG"] = os.path.join(DEPLOY, "config", "notifyhub.yaml")
    done = run_program("notifyhub-gateway", "--check-config", env=env)
    assert done.returncode == 0, done.stderr
    effective = yaml.safe_load(done.stdout)
    assert effective["hub"]["bind"] == "*" and effective["gateway"]["listen"] == "*:8080"
    exposed = next(rest for instruction, rest in dockerfile if instruction == "EXPOSE")
    assert exposed.split() == ["4245", "4246", "4247", "8080"]


def test_shell_of_the_dockerfile(dockerfile, tmp_path):
    for i, (instruction, rest) in enumerate(dockerfile):
        if instruction == "RUN":
            script = tmp_path / f"run{i}.sh"
            script.write_text("#!/bin/bash\n# shellcheck disable=SC1090,SC1091,SC2154\n" + rest.replace(" && ", " && \\\n") + "\n",
                              encoding="utf-8")
            done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout


def test_what_the_image_installs(tmp_path):
    """The line of the Dockerfile that fills the image, run against this build."""
    build = os.environ.get("NHUB_BUILD_DIR") or os.path.dirname(BIN_DIR)
    done = subprocess.run(["cmake", "--install", build, "--prefix", "/usr", "--component", "programs"], capture_output=True,
                          text=True, env={**os.environ, "DESTDIR": str(tmp_path)}, check=False)
    assert done.returncode == 0, done.stderr
    files = {os.path.relpath(os.path.join(folder, name), tmp_path) for folder, _, names in os.walk(tmp_path) for name in names}
    assert {"usr/bin/notifyhub-hub", "usr/bin/notifyhub-gateway", "usr/bin/notifyhub",
            "usr/share/notifyhub/web/index.html", "usr/share/notifyhub/web/icon.svg"} <= files
    assert not [f for f in files if f.startswith("usr/include") or f.endswith(".a")], "headers have no place in an image"
    # The packages that the image has bring every library that the programs load.
    script = f". {DEPLOY}/packages.sh && printf '%s\\n' \"${{packages_run[@]}}\""
    packages = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    closure = subprocess.run(["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts",
                              "--no-breaks", "--no-replaces", "--no-enhances", *packages], capture_output=True, text=True,
                             check=True).stdout
    brought = set(re.findall(r"^(\w\S+)$", closure, re.M)) | {"libgcc-s1", "libc6"}
    if not os.environ.get("NHUB_TEST_TIMEOUT_FACTOR", "1").startswith("1"):
        return  # a sanitizer's own library is not in the image
    loaded = subprocess.run(["ldd", *(os.path.join(BIN_DIR, n) for n in ("notifyhub-hub", "notifyhub-gateway", "notifyhub"))],
                            capture_output=True, text=True, check=True).stdout
    libraries = {os.path.basename(path): path for path in re.findall(r"=> (/\S+)", loaded)}
    # By name: a package may say /lib where the loader says /usr/lib.
    owners = subprocess.run(["dpkg-query", "-S", *(f"*/{name}" for name in libraries)], capture_output=True, text=True,
                            check=False).stdout
    missing = {}
    for name in libraries:
        packages = {line.split(":")[0] for line in owners.splitlines() if line.endswith("/" + name)}
        if not packages & brought:
            missing[name] = packages
    assert not missing, f"not brought by packages_run: {missing}"


def test_compose(dockerfile):
    value = yaml.safe_load(read(DEPLOY, "docker", "compose.yaml"))
    assert set(value) <= {"name", "services", "volumes", "x-common"}
    allowed = {"image", "build", "command", "ports", "volumes", "healthcheck", "environment", "depends_on", "restart", "read_only",
               "cap_drop", "security_opt", "stop_grace_period", "ulimits", "logging"}
    for name, service in value["services"].items():
        assert set(service) <= allowed, set(service) - allowed
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert os.path.exists(os.path.join(BIN_DIR, service["command"][0])), name
        for mount in service.get("volumes", []):
            assert mount.split(":")[0] in value["volumes"]
        for port in service["ports"]:
            address, outside, inside = port.split(":")
            assert address == "127.0.0.1" and outside == inside
        assert service["healthcheck"]["test"][:2] == ["CMD", "notifyhub"]
        env = {**environment_of(dockerfile), **service.get("environment", {}),
               "NOTIFYHUB_CONFIG": os.path.join(DEPLOY, "config", "notifyhub.yaml")}
        done = run_program(service["command"][0], *service["command"][1:], "--check-config", env=env)
        assert done.returncode == 0, done.stderr
        effective = yaml.safe_load(done.stdout)
        if name == "gateway":
            assert effective["gateway"]["hub_host"] in value["services"], "the hub's name on the network of compose"
            assert [p.split(":")[2] for p in service["ports"]] == [effective["gateway"]["listen"].rsplit(":", 1)[1]]
        else:
            assert [int(p.split(":")[2]) for p in service["ports"]] == [
                effective["hub"][k + "_port"] for k in ("collector", "publisher", "requests")]
    build = value["services"]["hub"]["build"]
    context = os.path.normpath(os.path.join(DEPLOY, "docker", build["context"]))
    assert os.path.exists(os.path.join(context, build["dockerfile"]))
    seconds_to_stop = int(value["services"]["gateway"]["stop_grace_period"].rstrip("s"))
    assert seconds_to_stop > 10 + 5, "longer than gateway.drain_s"


def test_health_commands_of_compose(hub, gateway):
    value = yaml.safe_load(read(DEPLOY, "docker", "compose.yaml"))
    for service in value["services"].values():
        command = [w.replace("http://127.0.0.1:8080", gateway.url) for w in service["healthcheck"]["test"][1:]]
        done = run_program(command[0], *command[1:], env={"NOTIFYHUB_HUB_REQUESTS_PORT": str(hub.requests)})
        assert done.returncode == 0, (command, done)
