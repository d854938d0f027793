// basic-ftp removes a directory with all that is in it: remove.js MODULE PORT tls|clear DIRECTORY
const [, , module_, port, how, directory] = process.argv;
const ftp = require(module_);

(async () => {
	const c = new ftp.Client(120000);
	await c.access({ host: "127.0.0.1", port: +port, user: "alice", password: "alice", secure: how === "tls",
		secureOptions: { rejectUnauthorized: false } });
	await c.removeDir(directory);
	c.close();
})().catch(e => { console.error(e); process.exit(1); });
