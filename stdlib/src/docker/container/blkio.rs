//! Limits on disks.

use bollard::models::{HostConfig, ResourcesBlkioWeightDevice, ThrottleDevice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::Bytes;

/// How fast a container may read from and write to disks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BlockIo {
    /// Its weight against other containers, 10 to 1000.
    pub weight: Option<u16>,
    /// Its weight on single disks.
    pub weight_device: Vec<Weight>,
    /// The most bytes it reads in a second.
    pub device_read_bps: Vec<Rate>,
    /// The most bytes it writes in a second.
    pub device_write_bps: Vec<Rate>,
    /// The most reads in a second.
    pub device_read_iops: Vec<Rate>,
    /// The most writes in a second.
    pub device_write_iops: Vec<Rate>,
}

/// A weight on one disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// The disk, `/dev/sda`.
    pub path: String,
    /// 10 to 1000.
    pub weight: u16,
}

/// A limit on one disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The disk, `/dev/sda`.
    pub path: String,
    /// Bytes, `10m`, or operations in a second.
    pub rate: Bytes,
}

impl BlockIo {
    /// `None` when it says nothing.
    pub(super) fn normal(mut self) -> Option<Self> {
        self.weight = self.weight.filter(|weight| *weight != 0);
        self.weight_device.sort_by(|a, b| a.path.cmp(&b.path));
        for rates in self.rates_mut() {
            rates.sort_by(|a, b| a.path.cmp(&b.path));
        }
        (self != Self::default()).then_some(self)
    }

    fn rates_mut(&mut self) -> [&mut Vec<Rate>; 4] {
        [
            &mut self.device_read_bps,
            &mut self.device_write_bps,
            &mut self.device_read_iops,
            &mut self.device_write_iops,
        ]
    }

    pub(super) fn observed(host: &HostConfig) -> Option<Self> {
        let rates = |devices: &Option<Vec<ThrottleDevice>>| {
            let devices = devices.iter().flatten();
            devices
                .filter_map(|device| {
                    Some(Rate { path: device.path.clone()?, rate: Bytes(device.rate?) })
                })
                .collect()
        };
        let weights = host.blkio_weight_device.iter().flatten().filter_map(|device| {
            let weight = device.weight.and_then(|weight| u16::try_from(weight).ok())?;
            Some(Weight { path: device.path.clone()?, weight })
        });
        let found = Self {
            weight: host.blkio_weight,
            weight_device: weights.collect(),
            device_read_bps: rates(&host.blkio_device_read_bps),
            device_write_bps: rates(&host.blkio_device_write_bps),
            device_read_iops: rates(&host.blkio_device_read_iops),
            device_write_iops: rates(&host.blkio_device_write_iops),
        };
        found.normal()
    }

    /// Adds it to what the engine is told.
    pub(super) fn request(&self, host: &mut HostConfig) {
        let rates = |rates: &[Rate]| {
            let device = |rate: &Rate| ThrottleDevice {
                path: Some(rate.path.clone()),
                rate: Some(rate.rate.0),
            };
            Some(rates.iter().map(device).collect())
        };
        let weights = self.weight_device.iter().map(|device| ResourcesBlkioWeightDevice {
            path: Some(device.path.clone()),
            weight: Some(device.weight.into()),
        });
        host.blkio_weight = self.weight;
        host.blkio_weight_device = Some(weights.collect());
        host.blkio_device_read_bps = rates(&self.device_read_bps);
        host.blkio_device_write_bps = rates(&self.device_write_bps);
        host.blkio_device_read_iops = rates(&self.device_read_iops);
        host.blkio_device_write_iops = rates(&self.device_write_iops);
    }
}
