//! Certificates for a test, made by openssl.

use std::path::Path;
use std::process::Command;

/// Runs `openssl` in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {error}");
}

/// An authority `NAME.pem`.
///
/// # Panics
/// When openssl does not run.
pub fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
             -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ),
    );
}

/// A certificate `NAME.pem` for somebody, signed by an authority.
///
/// # Panics
/// When openssl does not run.
pub fn certificate(folder: &Path, name: &str, subject: &str, extra: &str, by: &str) {
    request(folder, name, subject, extra);
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days 2 \
             -extfile extra -out {name}.pem"
        ),
    );
}

/// When what [`expired`] makes ended.
pub const ENDED: &str = "expired at 2021-01-01T00:00:00Z";

/// The same, of a time that is over.
///
/// # Panics
/// When openssl does not run.
pub fn expired(folder: &Path, name: &str, subject: &str, extra: &str, by: &str) {
    request(folder, name, subject, extra);
    // Of openssl's tools only this one takes two dates.
    let config = "[ca]\ndefault_ca = one\n[one]\ndatabase = index\nnew_certs_dir = .\n\
                  default_md = sha256\npolicy = any\nunique_subject = no\nrand_serial = yes\n\
                  [any]\ncommonName = supplied\n";
    std::fs::write(folder.join("authority.cnf"), config).expect("a file");
    std::fs::write(folder.join("index"), "").expect("a file");
    openssl(
        folder,
        &format!(
            "ca -batch -notext -config authority.cnf -in {name}.csr -cert {by}.pem \
             -keyfile {by}.key -startdate 20200101000000Z -enddate 20210101000000Z \
             -extfile extra -out {name}.pem"
        ),
    );
}

/// The key and the request for a certificate, and what is to be in it.
fn request(folder: &Path, name: &str, subject: &str, extra: &str) {
    std::fs::write(folder.join("extra"), format!("basicConstraints=CA:FALSE\n{extra}\n"))
        .expect("a file");
    openssl(
        folder,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={subject} \
             -keyout {name}.key -out {name}.csr"
        ),
    );
}
