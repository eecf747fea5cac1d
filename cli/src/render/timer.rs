//! What makes a machine run a command regularly: units for systemd, a line for cron.

use std::path::Path;

/// A command that is to run regularly.
pub struct Timer<'a> {
    /// What the units are called.
    pub name: &'a str,
    /// What it does, in words.
    pub about: &'a str,
    /// This program.
    pub program: &'a Path,
    /// Its arguments.
    pub words: &'a [String],
    /// The folder it starts in.
    pub folder: &'a Path,
}

/// Two units for systemd, one after the other, with where they go.
pub fn systemd(timer: &Timer<'_>, calendar: &str) -> String {
    let Timer { name, about, program, words, folder } = timer;
    // A percent sign stands for something to systemd; in a command a dollar sign does, too.
    let path = |path: &Path| path.to_string_lossy().replace('%', "%%");
    let quoted = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", text.replace('%', "%%").replace('$', "$$").replace('\n', "\\n"))
    };
    let word = |text: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
        if !text.is_empty() && text.chars().all(plain) { text.clone() } else { quoted(text) }
    };
    let words: Vec<_> = words.iter().map(word).collect();
    format!(
        "# /etc/systemd/system/{name}.service\n\
         [Unit]\n\
         Description={about}\n\
         Wants=docker.service\n\
         After=docker.service\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         UMask=0077\n\
         WorkingDirectory={}\n\
         # Parameters and secrets, one a line: DOLLOP_PARAM_name=value\n\
         EnvironmentFile=-/etc/dollop/{name}.env\n\
         ExecStart={} {}\n\
         \n\
         # /etc/systemd/system/{name}.timer\n\
         [Unit]\n\
         Description={about}\n\
         \n\
         [Timer]\n\
         OnCalendar={calendar}\n\
         Persistent=true\n\
         RandomizedDelaySec=5m\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n\
         \n\
         # systemctl daemon-reload && systemctl enable --now {name}.timer\n",
        path(folder),
        quoted(&program.to_string_lossy()),
        words.join(" "),
    )
}

/// A line for a table of cron.
pub fn cron(timer: &Timer<'_>, when: &str) -> String {
    let program = timer.program.to_string_lossy().into_owned();
    let all = std::iter::once(&program).chain(timer.words);
    let command = shell_words::join(all);
    let folder = timer.folder.to_string_lossy();
    let line = format!("cd {} && {command}", shell_words::quote(&folder));
    // Cron ends a line at a percent sign.
    format!("# {}\n{when} {}\n", timer.about, line.replace('%', "\\%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(words: &[&str]) -> (String, String) {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let timer = Timer {
            name: "dollop-backup-shop",
            about: "dollop backup of the stack shop",
            program: Path::new("/opt/my tools/dollop"),
            words: &words,
            folder: Path::new("/srv/100%/shop"),
        };
        (systemd(&timer, "daily"), cron(&timer, "0 3 * * *"))
    }

    #[test]
    fn a_unit_quotes_what_systemd_would_read() {
        let (units, _) =
            made(&["backup", "--keep", "7", "--then", "cp \"$DOLLOP_BACKUP\" /a%b"]);
        let line = "ExecStart=\"/opt/my tools/dollop\" backup --keep 7 --then \
                    \"cp \\\"$$DOLLOP_BACKUP\\\" /a%%b\"\n";
        assert!(units.contains(line), "{units}");
        assert!(units.contains("WorkingDirectory=/srv/100%%/shop\n"), "{units}");
        assert!(units.contains("OnCalendar=daily\n"), "{units}");
    }

    #[test]
    fn a_line_of_cron_quotes_what_its_shell_would_read() {
        let (_, line) = made(&["drift", "--then", "logger $x"]);
        let expected = "0 3 * * * cd '/srv/100\\%/shop' && '/opt/my tools/dollop' drift --then \
                        'logger $x'\n";
        assert!(line.ends_with(expected), "{line}");
    }
}
