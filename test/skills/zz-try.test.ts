import { it } from 'vitest';
import { mkdtempSync, writeFileSync, readFileSync } from 'node:fs';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { buildSkill, startSkill, textOf } from '../support/skill-process.ts';
it('x', async () => {
  const s = await buildSkill('tables');
  const d = mkdtempSync('/tmp/tabs/w-');
  writeFileSync(d+'/open.csv', 'a,b\n1,"'+('x,y\n'.repeat(16_000_000)).slice(0,60_000_000));
  writeFileSync(d+'/o3.csv', 'a,b\n1,"'+('ж,y\n'.repeat(16_000_000)).slice(0,50_000_000));
  const N=1_000_000; writeFileSync(d+'/p.parquet', new Uint8Array(parquetWriteBuffer({ columnData: [{name:'id',data:Array.from({length:N},(_, i)=>i),type:'INT32'},{name:'name',data:Array.from({length:N},(_, i)=>'name '+i),type:'STRING'},{name:'v',data:Array.from({length:N},(_, i)=>i/7),type:'DOUBLE'}], rowGroupSize: N })));
  writeFileSync(d+'/q.parquet', new Uint8Array(parquetWriteBuffer({ columnData: [{name:'id',data:Array.from({length:N},(_, i)=>i),type:'INT32'},{name:'name',data:Array.from({length:N},(_, i)=>'name '+i),type:'STRING'},{name:'v',data:Array.from({length:N},(_, i)=>i/7),type:'DOUBLE'}] })));
  for (const mb of [512,384,320]) {
  const p = await startSkill(s, [d], {memoryMb:mb});
  const rss=()=>{ try { return readFileSync(`/proc/${p.pid}/status`,'utf8').match(/VmHWM.*|VmRSS.*|VmData.*/g)!.map(x=>x.replace(/\s+/g,'')).join(' ') } catch { return 'DEAD'} };
  for (const f of ['q.parquet','p.parquet','open.csv','o3.csv'])
   { const t0=performance.now(); try{const r=await p.result('describe',{path:f, timeoutMs:25000, sampleRows:1}); console.log(mb, f, (performance.now()-t0).toFixed(0)+'ms', rss(), r.isError??'', textOf(r).slice(0,300));}catch(e){console.log(mb,f,'CRASH'); break;} }
  await p.stop();}
  await s.remove();
}, 240000);
