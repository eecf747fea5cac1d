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
    std::fs::write(folder.join("extra"), format!("basicConstraints=CA:FALSE\n{extra}\n"))
        .expect("a file");
    openssl(
        folder,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={subject} \
             -keyout {name}.key -out {name}.csr"
        ),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days 2 \
             -extfile extra -out {name}.pem"
        ),
    );
}
