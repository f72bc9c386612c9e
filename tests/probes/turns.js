// What Node asks of a kernel: worker threads that share memory, compression in a pool of threads, processes, a network
// poller, WebAssembly, a compiler at run time.
const { Worker } = require('worker_threads');
const { execFile } = require('child_process');
const { gzip } = require('zlib');
const net = require('net');
const { promisify } = require('util');

async function main() {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const body = `const { workerData } = require('worker_threads'); Atomics.add(workerData, 0, 7); Atomics.notify(workerData, 0);`;
  const workers = Array.from({ length: 4 }, () => new Worker(body, { eval: true, workerData: shared }));
  await Promise.all(workers.map(w => new Promise((ok, no) => w.on('exit', ok).on('error', no))));
  const packed = await Promise.all(Array.from({ length: 8 }, () => promisify(gzip)(Buffer.alloc(1 << 20))));
  await promisify(execFile)('/bin/true');
  const server = net.createServer(c => c.end('hi'));
  await new Promise(ok => server.listen(0, '127.0.0.1', ok));
  const heard = await new Promise((ok, no) => net.connect(server.address().port).on('data', ok).on('error', no));
  server.close();
  // (module (func (export "f") (result i32) i32.const 42))
  const wasm = Buffer.from('0061736d010000000105016000017f03020100070501016600000a06010400412a0b', 'hex');
  const { instance } = await WebAssembly.instantiate(wasm);
  // Hot enough to be compiled.
  let n = 0;
  for (let i = 0; i < 3e6; i++) n = (n * 31 + i) | 0;
  console.log('node works', shared[0], packed.length, String(heard), instance.exports.f());
}
main().catch(e => { console.log('failed:', e); process.exit(1); });
