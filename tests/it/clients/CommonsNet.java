import java.io.ByteArrayInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSessionContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import org.apache.commons.net.ftp.FTP;
import org.apache.commons.net.ftp.FTPClient;
import org.apache.commons.net.ftp.FTPSClient;
import org.apache.commons.net.util.TrustManagerUtils;

/*
 * Sessions of Apache's commons-net that run at the same time, as threads of one program with one cache of TLS sessions:
 * CommonsNet PORT ROUNDS tls|resuming|clear DIRECTORY LOCAL [DIRECTORY LOCAL ...]
 * "resuming" offers the control connection's session on data connections, in the way that many programs have copied.
 */
public class CommonsNet {
	static class Resuming extends FTPSClient {
		Resuming(SSLContext context) {
			super(false, context);
		}

		@Override
		protected void _prepareDataSocket_(Socket socket) throws IOException {
			if (!(socket instanceof SSLSocket))
				return;
			SSLSession session = ((SSLSocket)_socket_).getSession();
			SSLSessionContext context = session.getSessionContext();

			try {
				Field cacheOfPorts = context.getClass().getDeclaredField("sessionHostPortCache");
				cacheOfPorts.setAccessible(true);
				Object cache = cacheOfPorts.get(context);
				Method put = cache.getClass().getDeclaredMethod("put", Object.class, Object.class);
				put.setAccessible(true);
				for (String host : new String[] { socket.getInetAddress().getHostName(), socket.getInetAddress().getHostAddress() })
					put.invoke(cache, (host + ":" + socket.getPort()).toLowerCase(), session);
			} catch (ReflectiveOperationException e) {
				throw new IOException(e);
			}
		}
	}

	static void must(FTPClient f, boolean good, String what) throws IOException {
		if (!good)
			throw new IOException(what + ": " + f.getReplyString());
	}

	static FTPClient open(int port, String how, SSLContext context) throws IOException {
		FTPClient f = how.equals("clear") ? new FTPClient() : how.equals("resuming") ? new Resuming(context) :
		    new FTPSClient(false, context);

		f.setDefaultTimeout(120000);
		f.connect("127.0.0.1", port);
		must(f, f.login("alice", "alice"), "login");
		if (f instanceof FTPSClient) {
			((FTPSClient)f).execPBSZ(0);
			((FTPSClient)f).execPROT("P");
		}
		f.enterLocalPassiveMode();
		must(f, f.setFileType(FTP.BINARY_FILE_TYPE), "type");
		return f;
	}

	static void work(FTPClient f, int rounds, String directory, String local) throws IOException {
		must(f, f.changeWorkingDirectory(directory), "cwd");
		byte[] source = Files.readAllBytes(Paths.get(local, "source")), piece = Files.readAllBytes(Paths.get(local, "piece"));

		for (int i = 0; i < rounds; i++) {
			String name = "up-" + i;

			must(f, f.storeFile(name, new ByteArrayInputStream(source)), "store " + i);
			try (OutputStream out = new FileOutputStream(local + "/got-" + i)) {
				must(f, f.retrieveFile(name, out), "retrieve " + i);
			}
			must(f, f.appendFile("log", new ByteArrayInputStream(piece)), "append " + i);
			must(f, Arrays.stream(f.listFiles()).anyMatch(x -> x.getName().equals(name)), "list " + i);
			must(f, Arrays.stream(f.mlistDir()).anyMatch(x -> x.getName().equals(name)), "mlsd " + i);
			must(f, Arrays.asList(f.listNames()).contains(name), "nlst " + i);
		}
		f.logout();
		f.disconnect();
	}

	public static void main(String[] a) throws Exception {
		SSLContext context = SSLContext.getInstance("TLS");
		List<Thread> threads = new ArrayList<>();
		List<String> wrong = new ArrayList<>();

		context.init(null, new TrustManager[] { TrustManagerUtils.getAcceptAllTrustManager() }, new SecureRandom());
		for (int i = 3; i + 1 < a.length; i += 2) {
			final String directory = a[i], local = a[i + 1];
			Thread t = new Thread(() -> {
				try {
					work(open(Integer.parseInt(a[0]), a[2], context), Integer.parseInt(a[1]), directory, local);
				} catch (Exception e) {
					synchronized (wrong) {
						wrong.add(directory + ": " + e);
					}
				}
			});
			t.start();
			threads.add(t);
		}
		for (Thread t : threads)
			t.join();
		wrong.forEach(System.err::println);
		System.exit(wrong.isEmpty() ? 0 : 1);
	}
}
