import time
from tests.e2e.system import Company, found_company
async def test_a(system):
    for i in range(5):
        t=time.time(); c=await found_company(system); t1=time.time()
        for k in range(20):
            try: a=await c.sign_in("ana"); break
            except AssertionError as e: print(str(e)[:100], time.time()-t1); import asyncio; await asyncio.sleep(.05)
        t2=time.time()
        b=await c.sign_in("bob",1)
        r=await a.open_room(); await a.say(r,"x","c1"); t3=time.time(); print(t1-t,t2-t1,t3-t2)
