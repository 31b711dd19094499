"""`make fault`: simulate a fault in a service that `make run` started."""

import sys

from common.http.faults import Fault
from tools.local import PROJECTS, ROOT, Local
from tools.projects import PORTS


def main(arguments: list[str]) -> None:
    """Write the fault to the file that the service reads on each request.

    Raise SystemExit if an argument is invalid.
    """
    project, fault = arguments if len(arguments) == 2 else ("", "")
    if project not in PROJECTS or fault not in [*Fault]:
        raise SystemExit(f"Name a project ({', '.join(PROJECTS)}) and a fault ({', '.join(Fault)}).")
    file = Local(ROOT / "var", PORTS).fault_file(project)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(fault)
    end = "" if fault == Fault.NORMAL else f" To end this, run `make fault in={project} do=normal`."
    print(f"{project} is {fault} from the next request on.{end}")


if __name__ == "__main__":
    main(sys.argv[1:])
