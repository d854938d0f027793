// Sessions of basic-ftp that run at the same time: basicftp.js MODULE PORT ROUNDS tls|clear DIRECTORY LOCAL [DIRECTORY LOCAL ...]
const [, , module_, port, rounds, how, ...places] = process.argv;
const ftp = require(module_);

async function work(directory, local) {
	const c = new ftp.Client(120000);
	await c.access({ host: "127.0.0.1", port: +port, user: "alice", password: "alice", secure: how === "tls",
		secureOptions: { rejectUnauthorized: false } });
	await c.cd(directory);
	for (let i = 0; i < +rounds; i++) {
		await c.uploadFrom(`${local}/source`, `up-${i}`);
		await c.downloadTo(`${local}/got-${i}`, `up-${i}`);
		await c.appendFrom(`${local}/piece`, "log");
		if (!(await c.list()).some(x => x.name === `up-${i}`))
			throw new Error(`up-${i} is not listed`);
	}
	c.close();
}

const all = [];
for (let i = 0; i + 1 < places.length; i += 2)
	all.push(work(places[i], places[i + 1]));
Promise.all(all).catch(e => { console.error(e); process.exit(1); });
