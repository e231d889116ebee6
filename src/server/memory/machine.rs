//! How much memory this process may use.
//!
//! Never says what it is used for.

use std::fs;
use std::path::Path;

use crate::config::Config;

/// Bytes of memory that this process may use: as configured, else the machine's, or its control group's if that is less.
pub(in crate::server) fn available(config: &Config) -> u64 {
    if config.memory.bytes_max > 0 {
        return config.memory.bytes_max;
    }
    let info = rustix::system::sysinfo();
    let machine = info.totalram.saturating_mul(u64::from(info.mem_unit));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    machine.min(group_limit(&groups, Path::new("/sys/fs/cgroup")))
}

/// The least limit of a control group and of all above it, by what `/proc/self/cgroup` says; as good as none if there is none.
fn group_limit(groups: &str, root: &Path) -> u64 {
    let mut least = u64::MAX;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => (root.to_path_buf(), "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // In a container the group's path may be the host's; then its root is the container's own group.
        let own = root.join(group.trim_start_matches('/'));
        for folder in own.ancestors().take_while(|folder| folder.starts_with(&root)) {
            let limit = fs::read_to_string(folder.join(file)).ok();
            let limit = limit.and_then(|text| text.trim().parse().ok());
            least = least.min(limit.unwrap_or(u64::MAX));
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_what_there_is() {
        let mut config = Config::default();
        assert!(available(&config) > 1 << 20);
        config.memory.bytes_max = 128 << 20;
        assert_eq!(available(&config), 128 << 20);
    }

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        let root = std::env::temp_dir().join(format!("fanwire-groups-{}", std::process::id()));
        let own = root.join("a/b");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("memory.max"), "max\n").unwrap();
        fs::write(root.join("a/memory.max"), "1048576\n").unwrap();
        fs::create_dir_all(root.join("memory/c")).unwrap();
        fs::write(root.join("memory/c/memory.limit_in_bytes"), "4096\n").unwrap();
        let limits = ["0::/a/b\n", "7:cpu,memory:/c\n", "0::/elsewhere\n", "7:cpu:/c\n", ""]
            .map(|groups| group_limit(groups, &root));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(limits, [1_048_576, 4096, u64::MAX, u64::MAX, u64::MAX]);
    }
}
