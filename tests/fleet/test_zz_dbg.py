from tests.fleet.test_router import *
from tests.fleet.conftest import *
from tests.fleet.project import eventually
import random
def test_x(project, port):
    up(project, port)
    bad=0
    for r in range(25):
        n=random.randint(1,3)
        async def get(connection, number):
            return await connection.request("GET", f"/echo/{number}")
        async def post(connection, number):
            return await connection.request("POST", f"/record", f"{r}/{number}".encode())
        for what in (get, post):
            eventually(lambda: project.service("a")["ready"]==3, "ready")
            per = load(port, what, kill(project, n))
            fails=[(a, i, j) for i,each in enumerate(per) for j,a in enumerate(each) if a.status!=200]
            if what is get and fails or len(fails)>6: print(r, what.__name__, n, fails); bad+=1
    executed = Counter((project.directory / "executed").read_text().split())
    print("twice", [k for k,v in executed.items() if v>1][:10])
    print(project.run("events").out[-1500:])
    assert not bad
