from tests.fleet.test_router import *
from tests.fleet.conftest import *
import random
@pytest.mark.parametrize("r", range(60))
def test_x(project, port, r):
    up(project, port)
    async def get(connection, number):
        return await connection.request("GET", f"/echo/{number}")
    per = load(port, get, kill(project, 1+r%3))
    fails=[(a, i, j) for i,each in enumerate(per) for j,a in enumerate(each) if a.status!=200]
    tries=Counter((a.fields["x-msctl-instance"],a.fields["x-msctl-attempts"]) for e in per for a in e)
    assert not fails, (tries, fails, (project.directory/".msctl/daemon.log").read_text()[-2000:])
