import { it } from 'vitest';
import { mkdtempSync, mkdirSync, writeFileSync, readFileSync, copyFileSync } from 'node:fs';
import { buildSkill, startSkill, textOf } from '../support/skill-process.ts';
it('x', async () => {
  const s = await buildSkill('tables');
  const d = mkdtempSync('/tmp/tabs/w-');
  copyFileSync('/tmp/tabs/big.csv', d+'/big.csv');
  writeFileSync(d+'/a.csv','id,name,price\n1,"a ""q""\nline",1.5\n2,b,2\n9007199254740993,ü,\n');
  writeFileSync(d+'/b.json', JSON.stringify([{id:1,x:1.5,tags:['a']},{id:2,x:2,y:true}]));
  const p = await startSkill(s, [d], {memoryMb:+(process.env['MB']??512)});
  const rss=()=>readFileSync(`/proc/${p.pid}/status`,'utf8').match(/VmRSS:\s+(\d+)|VmData.*/)![1];
  console.log('idle', rss());
  for (const [t,a] of [['list',{}],['describe',{path:'a.csv'}],['describe',{path:'b.json'}],['query',{sql:'select * from t join "b.json" b using(id)',tables:{t:'a.csv'}}],['query',{sql:'select sum(amount) from "big.csv"'}],['query',{sql:'select sum(amount), count(*) from "big.csv"'}],
   ['query',{sql:'select * from nope'}],['query',{sql:'delete from "a.csv"'}],['query',{sql:'select 1; select 2'}],['query',{sql:'select 1; -- x'}],['query',{sql:"attach 'x' as y"}],['query',{sql:'pragma table_list'}],['query',{sql:'select * from sqlite_master'}],['query',{sql:'selec'}],
   ['query',{sql:'with recursive c(x) as (select 1 union all select x+1 from c) select count(*) from c', timeoutMs:500}],['query',{sql:"with recursive c(x) as (select 1 union all select x+1 from c limit 5000000) select max(h) from (select hex(randomblob(200)) h from c order by h limit 4999999)", timeoutMs:25000}],
   ['query',{sql:'select explain from x'}],['query',{sql:'explain query plan select * from "a.csv" where id=1'}],['query',{sql:'select zeroblob(100000000)'}],['query',{sql:"select x'00ff', 1e999, 9223372036854775807, -1.5"}]] as const) { const t0=performance.now(); const r=await p.result(t,a); console.log((performance.now()-t0).toFixed(0)+'ms', rss(), JSON.stringify(a).slice(0,100), r.isError??'', textOf(r).slice(0,500)); }
  console.log(p.stderr()); await p.stop(); await s.remove();
}, 120000);
