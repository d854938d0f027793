import java.io.IOException;
import java.security.SecureRandom;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import org.apache.commons.net.ftp.FTPClient;
import org.apache.commons.net.ftp.FTPFile;
import org.apache.commons.net.ftp.FTPSClient;
import org.apache.commons.net.util.TrustManagerUtils;

/*
 * commons-net removes a directory as programs that use it do: what is a directory is entered, everything else is deleted.
 * RemoveTree PORT tls|clear list|mlsd DIRECTORY
 */
public class RemoveTree {
	static void remove(FTPClient f, String path, boolean facts) throws IOException {
		for (FTPFile x : facts ? f.mlistDir(path) : f.listFiles(path)) {
			String name = path + "/" + x.getName();

			if (x.getName().equals(".") || x.getName().equals(".."))
				continue;
			if (x.isDirectory())
				remove(f, name, facts);
			else if (!f.deleteFile(name))
				throw new IOException(name + ": " + f.getReplyString());
		}
		if (!f.removeDirectory(path))
			throw new IOException(path + ": " + f.getReplyString());
	}

	public static void main(String[] a) throws Exception {
		SSLContext context = SSLContext.getInstance("TLS");

		context.init(null, new TrustManager[] { TrustManagerUtils.getAcceptAllTrustManager() }, new SecureRandom());
		FTPClient f = a[1].equals("tls") ? new FTPSClient(false, context) : new FTPClient();
		f.setDefaultTimeout(120000);
		f.connect("127.0.0.1", Integer.parseInt(a[0]));
		if (!f.login("alice", "alice"))
			throw new IOException(f.getReplyString());
		if (f instanceof FTPSClient) {
			((FTPSClient)f).execPBSZ(0);
			((FTPSClient)f).execPROT("P");
		}
		f.enterLocalPassiveMode();
		f.setListHiddenFiles(true);
		remove(f, a[3], a[2].equals("mlsd"));
		f.logout();
		f.disconnect();
	}
}
